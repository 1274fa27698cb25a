"""A load balancer that sends each gRPC call to one of several servers, as Envoy does."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType

import grpc

from tests.support.calls import streaming

Route = Callable[[str, int], int]
"""The server for a call: by the method's name, and how many calls of it came before."""


Change = Callable[[str, bytes], bytes]


def unchanged(method: str, answer: bytes) -> bytes:
    """Pass on what the server says."""
    return answer


def in_turn(method: str, count: int) -> int:
    """Calls of a method go to two servers in turn."""
    return count % 2


class Balancer(grpc.GenericRpcHandler):
    """Passes calls on to ``servers`` as ``route`` says; listens on :attr:`address`.

    ``change`` makes other answers of those of the servers, by the method's name.
    """

    def __init__(self, servers: Sequence[str], route: Route = in_turn, change: Change = unchanged) -> None:
        self._channels = [grpc.insecure_channel(server) for server in servers]
        self._route = route
        self._change = change
        self.calls: Counter[str] = Counter()
        """Calls by method."""
        self._pool = ThreadPoolExecutor(32)
        self._server = grpc.server(self._pool, [self])
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def __enter__(self) -> "Balancer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop(0).wait()
        for channel in self._channels:
            channel.close()
        self._pool.shutdown()

    def service(self, details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[bytes, bytes]":
        path: str = details.method
        method = path.rpartition("/")[2]
        channel = self._channels[self._route(method, self.calls[method])]
        self.calls[method] += 1

        def passed_on(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
            call = streaming(channel, path)(requests)

            def end() -> None:
                call.cancel()

            context.add_callback(end)
            try:
                for answer in call:
                    yield self._change(method, answer)
            except grpc.RpcError:
                context.abort(call.code(), call.details() or "")

        return grpc.stream_stream_rpc_method_handler(passed_on)
