"""How a run behaves, as one value."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from stream_client.errors import ConfigurationError
from stream_client.exchange import Exchange
from stream_client.flow import LONG_QUEUE, SHORT_QUEUE, AdaptiveWindow, DropPolicy, FixedWindow, Window, frame_queue
from stream_client.frames import StreamInfo
from stream_client.ledger import Ledger
from stream_client.limits import check_above_zero, check_not_negative
from stream_client.observe import Observer
from stream_client.ordering import Joiner
from stream_client.sender import ServerLossPolicy
from stream_client.transport.servable import Servable


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Limits and policies of a run; times are in seconds.

    ``max_inflight``: frames sent and unanswered, or ``"auto"``. ``drop_policy``: ``None`` takes ``latest``
    for live sources and ``block`` for files. ``join_timeout``: how long a frame waits for its label once
    its picture is there, ``None`` for what the server proves to need. ``on_server_loss``: ``None`` retries for live
    sources and fails for files.
    ``enforce_fps``: at most so many frames a second; files are held back, live sources thinned out.
    ``max_side``: larger frames are shrunk to so many pixels before they are sent, and what comes back is put on the
    full-size frame. ``stop_timeout``: how long a stopped run waits for answers. Zero limits mean none.
    """

    max_inflight: int | Literal["auto"] = "auto"
    latency_target: float | None = None
    drop_policy: DropPolicy | None = None
    request_timeout: float = 10.0
    join_timeout: float | None = None
    limit_frames: int = 0
    limit_stream_duration: float = 0.0
    enforce_fps: float | None = None
    on_server_loss: ServerLossPolicy | None = None
    reconnect_timeout: float | None = None
    stop_timeout: float = 1.0
    max_side: int | None = None

    def __post_init__(self) -> None:
        if self.max_inflight != "auto" and self.max_inflight < 1:
            raise ConfigurationError(f"{self.max_inflight} frames in flight: at least 1, or auto (--max_inflight)")
        check_above_zero(self, "latency_target", "request_timeout", "join_timeout", "enforce_fps")
        check_not_negative(self, "limit_frames", "limit_stream_duration", "reconnect_timeout")
        if self.max_side is not None and self.max_side < 16:
            raise ConfigurationError(f"{self.max_side} pixels are too few to see anything: at least 16 (--max_side)")

    def window(self, policy: DropPolicy) -> Window:
        """The window that these options ask for: under ``latest`` latency counts, under ``block`` throughput."""
        if self.max_inflight == "auto":
            waiting = SHORT_QUEUE if policy == "latest" else LONG_QUEUE
            return AdaptiveWindow(waiting=waiting, latency_target=self.latency_target)
        return FixedWindow(self.max_inflight)

    def exchange(
        self,
        info: StreamInfo,
        servable: Servable,
        observer: Observer,
        *,
        picture: str | None,
        sink_queues: Callable[[], Mapping[str, int]],
    ) -> Exchange:
        """What the threads of a run share; ``picture`` is the output without which no frame is delivered."""
        joiner = Joiner(
            expected=frozenset(spec.name for spec in servable.outputs),
            picture=picture,
            request_timeout=self.request_timeout,
            join_timeout=self.join_timeout,
        )
        policy = self.drop_policy or ("latest" if info.live else "block")
        return Exchange(
            frame_queue(policy),
            self.window(policy),
            joiner,
            Ledger(observer),
            observer,
            resend=not info.live and self.server_loss_policy(info) == "retry",
            sink_queues=sink_queues,
        )

    def server_loss_policy(self, info: StreamInfo) -> ServerLossPolicy:
        """What to do when the server is lost: by default live sources go on with another session, files end."""
        return self.on_server_loss or ("retry" if info.live else "fail")
