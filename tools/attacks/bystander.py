"""An honest client beside an attack, in a process of its own: it asks for health, and sends frames.

    python -m tools.attacks.bystander GRPC_ADDRESS REST_ADDRESS [frames]

It runs until its standard input ends. Then it prints the longest waits for health, in seconds, and how many frames
were lost.
"""

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from http.client import HTTPConnection
from typing import Literal

import grpc

from kserve_wire.messages import ModelStreamInferResponse
from kserve_wire.names import TIMESTAMP, method_path
from tests.support.graph_server import request

FRAMES_A_SECOND = 10
PAUSE = 0.05
GIVEN_UP = 60.0


@dataclass(slots=True)
class Seen:
    """What the bystander saw."""

    grpc_wait: float = 0.0
    rest_wait: float = 0.0
    sent: int = 0
    lost: int = 0


class Bystander:
    """Three threads: health by gRPC, health by REST, frames."""

    def __init__(self, grpc_address: str, rest_address: str, frames: bool) -> None:
        self._grpc, self._rest = grpc_address, rest_address
        self._ended = threading.Event()
        self.seen = Seen()
        works = [self._ask_grpc, self._ask_rest, *[self._send_frames] * frames]
        self._threads = [threading.Thread(target=work, name=work.__name__, daemon=True) for work in works]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> Seen:
        """End, and wait for the last answers."""
        self._ended.set()
        for thread in self._threads:
            thread.join(GIVEN_UP)
        return self.seen

    def _ask_grpc(self) -> None:
        with grpc.insecure_channel(self._grpc) as channel:
            live: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method_path("ServerLive"))
            self._repeat(lambda: live(b"", timeout=GIVEN_UP), "grpc_wait")

    def _ask_rest(self) -> None:
        self._repeat(self._get, "rest_wait")

    def _repeat(self, ask: Callable[[], object], longest: Literal["grpc_wait", "rest_wait"]) -> None:
        ended = False
        while not ended:
            setattr(self.seen, longest, max(getattr(self.seen, longest), waited(ask)))
            ended = self._ended.wait(PAUSE)

    def _get(self) -> None:
        connection = HTTPConnection(self._rest, timeout=GIVEN_UP)
        try:
            connection.request("GET", "/v2/health/live")
            if connection.getresponse().status != 200:
                raise OSError("health is refused")
        finally:
            connection.close()

    def _send_frames(self) -> None:
        """One session. Each answer has to be the frame that was sent."""
        expected: dict[int, bytes] = {}

        def frames() -> Iterator[bytes]:
            ended = False
            while not ended:
                made = request(self.seen.sent)
                expected[self.seen.sent] = made.raw_input_contents[0]
                self.seen.sent += 1
                yield made.SerializeToString()
                ended = self._ended.wait(1 / FRAMES_A_SECOND)

        try:
            with grpc.insecure_channel(self._grpc, [("grpc.use_local_subchannel_pool", 1)]) as channel:
                stream: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(
                    method_path("ModelStreamInfer")
                )
                for data in stream(frames()):
                    answer = ModelStreamInferResponse.FromString(data).infer_response
                    timestamp = answer.parameters[TIMESTAMP].int64_param
                    if expected.get(timestamp) == answer.raw_output_contents[0]:
                        del expected[timestamp]
        except grpc.RpcError as error:
            print(f"the bystander's session ended: {error}", file=sys.stderr)
        self.seen.lost = len(expected)


def waited(ask: Callable[[], object]) -> float:
    """Seconds until an answer. No answer counts as the longest wait."""
    begun = time.monotonic()
    try:
        ask()
    except (OSError, grpc.RpcError):
        return GIVEN_UP
    return time.monotonic() - begun


def main() -> None:
    """Run until standard input ends."""
    bystander = Bystander(sys.argv[1], sys.argv[2], "frames" in sys.argv[3:])
    bystander.start()
    print("ready", flush=True)
    sys.stdin.read()
    print(json.dumps(asdict(bystander.stop())), flush=True)


if __name__ == "__main__":
    main()
