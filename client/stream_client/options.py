"""How a run behaves, as one value."""

from dataclasses import dataclass
from typing import Literal

from stream_client.errors import ConfigurationError
from stream_client.util.checks import check_above_zero, check_not_negative

DropPolicy = Literal["block", "latest"]
"""``block``: reading waits, nothing is dropped. ``latest``: a newer frame replaces the waiting one."""
ServerLossPolicy = Literal["retry", "fail"]
"""``retry``: open a new session. ``fail``: end the run."""


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
            raise ConfigurationError(
                f"{self.max_inflight} frames in flight: at least 1, or auto", option="max_inflight"
            )
        check_above_zero(self, "latency_target", "request_timeout", "join_timeout", "enforce_fps")
        check_not_negative(self, "limit_frames", "limit_stream_duration", "reconnect_timeout")
        if self.max_side is not None and self.max_side < 16:
            raise ConfigurationError(
                f"{self.max_side} pixels are too few to see anything: at least 16", option="max_side"
            )
