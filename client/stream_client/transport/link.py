"""What streaming and unary sessions share: the connection, the shared memory and requests as bytes."""

import logging
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol, cast

import grpc

from kserve_wire.names import TIMESTAMP
from stream_client.plain_text import one_line
from stream_client.transport.base import Request
from stream_client.transport.channels import OWN_CHANNELS, Channels
from stream_client.transport.codec import Shared, encode_request, nowhere
from stream_client.transport.connection import Connection
from stream_client.transport.http2.channel import DirectChannel
from stream_client.transport.message import Message
from stream_client.transport.options import Parameter, TransportOptions
from stream_client.transport.shared_memory import REGISTER, SharedMemory

logger = logging.getLogger(__name__)


class StreamCall(Protocol):
    """A streaming call: what it answers, and how it ended."""

    def __iter__(self) -> Iterator[bytes | memoryview]: ...

    def cancel(self) -> object:
        """End it."""

    def code(self) -> grpc.StatusCode:
        """Its status, once it has ended."""

    def details(self) -> str | None:
        """What the server says about that."""


StartStream = Callable[[Iterator[Message]], StreamCall]
"""Starts a call with these requests; raises :class:`grpc.RpcError`, :class:`OSError`."""


class ServableLink:
    """A link to one servable, over a channel of ``channels``; may be opened again once closed.

    With the names of the servable's outputs in ``shared_outputs``, frames go through shared memory where the server
    takes that.
    """

    DIRECT_SECONDS = 1.0
    """To connect to a server that has just answered."""

    def __init__(
        self,
        options: TransportOptions,
        model_name: str,
        shared_outputs: Sequence[str],
        channels: Channels = OWN_CHANNELS,
    ) -> None:
        self.address = options.address
        self.model_name = model_name
        self.memory: SharedMemory | None = None
        """Shared memory of the open link, if there is any."""
        self._connection = Connection(options, channels)
        self._shared_outputs = tuple(shared_outputs)
        self._may_be_direct = options.tls is None and channels is OWN_CHANNELS and hasattr(socket.socket, "sendmsg")
        self._direct: DirectChannel | None = None

    @property
    def view(self) -> Shared:
        """Finds outputs that are not in the message."""
        return nowhere if self.memory is None else self.memory.view

    def open(self, within: float) -> grpc.Channel:
        """A connected channel; raises :class:`~stream_client.errors.ConnectError` after ``within`` s at most."""
        channel = self._connection.open(within)
        self.memory = SharedMemory(channel, self._shared_outputs) if self._shared_outputs else None
        return channel

    def open_stream(self, path: str, within: float) -> StartStream:
        """Connect, as :meth:`open` does, and return what starts calls of the method at ``path``.

        They go through gRPC's own channel where it has TLS or is shared with others.
        """
        channel = self._connection.open(within)
        if self._may_be_direct:
            try:
                self._direct = DirectChannel(self.address, min(within, self.DIRECT_SECONDS))
            except OSError as error:
                logger.info("%s: gRPC's own connection is used: %s", self.address, error)
        register = None if self._direct is None else self._direct.unary_unary(REGISTER)
        self.memory = SharedMemory(channel, self._shared_outputs, register) if self._shared_outputs else None
        if self._direct is not None:
            return self._direct.stream_stream(path)
        start: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(path)
        return lambda requests: cast("StreamCall", start(map(bytes, requests)))

    def encode(self, request: Request, parameters: Mapping[str, Parameter]) -> Message:
        """The request, with ``parameters`` beside its timestamp."""
        memory = self.memory
        return encode_request(
            self.model_name,
            request.inputs,
            id=str(request.timestamp),
            parameters={TIMESTAMP: request.timestamp, **parameters},
            input_places=memory.place_inputs(request.timestamp, request.inputs) if memory else None,
            output_places=memory.place_outputs(request.timestamp) if memory else None,
        )

    def encode_again(self, timestamp: int, parameters: Mapping[str, Parameter]) -> Message | None:
        """An unanswered request, if it can be sent again."""
        tensors = self.memory.tensors_of(timestamp) if self.memory is not None else None
        return None if tensors is None else self.encode(Request(timestamp, tensors), parameters)

    def is_region_lost(self, text: str) -> bool:
        """Whether the error ``text`` names a region that the server does not know, as behind a load balancer."""
        return self.memory is not None and self.memory.is_in(text)

    def leave_memory(self, reason: str) -> None:
        """This link uses shared memory no more."""
        self._shared_outputs = ()
        if self.memory is not None and self.memory.give_up():
            logger.warning("%s: frames go inside their messages from now on: %s", self.address, one_line(reason))

    def interrupt(self) -> None:
        """Make a waiting :meth:`open`, and every later one, fail at once. Safe from any thread."""
        self._connection.interrupt()

    def close(self) -> None:
        """Release the shared memory and close the connections; safe twice."""
        memory, self.memory = self.memory, None  # once: its channel is closed below
        if memory is not None:
            memory.close()
        direct, self._direct = self._direct, None
        if direct is not None:
            direct.close()
        self._connection.close()
