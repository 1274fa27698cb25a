"""How a recording is cut, and how much of it is kept, as a value."""

from dataclasses import dataclass, field

from stream_client.errors import ConfigurationError
from stream_client.util.amounts import duration, size
from stream_client.util.settings import check, setting

_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class RecordingOptions:
    """With ``segment`` file outputs are recordings: files of that length, named by time. Without it there are none.

    Lengths are texts such as ``"10m"``, sizes such as ``"200GB"``. ``keep_for`` and ``keep_size`` are of one stream.
    """

    segment: str | None = field(
        default=None,
        metadata=setting(
            "cut file outputs at the clock into files of this length, at most 1d; their names have time fields: "
            "DIR/{stream}/%Y-%m-%d/%H-%M.mp4",
            metavar="LENGTH",
        ),
    )
    keep_for: str | None = field(
        default=None,
        metadata=setting("remove recorded files that are older, as 14d", otherwise="kept for ever", metavar="LENGTH"),
    )
    keep_size: str | None = field(
        default=None,
        metadata=setting(
            "remove the oldest recorded files beyond this size, as 200GB", otherwise="no limit", metavar="SIZE"
        ),
    )

    def __post_init__(self) -> None:
        check(self)
        seconds, keep_for = self.segment_seconds, self.keep_seconds
        _ = self.keep_bytes
        if seconds is None:
            if self.keep_for is not None or self.keep_size is not None:
                raise ConfigurationError(
                    "keep_for and keep_size are of a recording in segments", option="segment", value="10m"
                )
            return
        if not 1 <= seconds <= _DAY:
            raise ConfigurationError(f"{self.segment} is out of range: 1s to 1d", option="segment")
        if keep_for is not None and keep_for < seconds:
            raise ConfigurationError(f"{self.keep_for} is shorter than one segment, {self.segment}", option="keep_for")

    @property
    def segment_seconds(self) -> float | None:
        """Seconds of a segment."""
        return None if self.segment is None else duration(self.segment, "segment")

    @property
    def keep_seconds(self) -> float | None:
        """Seconds for which segments are kept."""
        return None if self.keep_for is None else duration(self.keep_for, "keep_for")

    @property
    def keep_bytes(self) -> int | None:
        """Bytes of all segments."""
        return None if self.keep_size is None else size(self.keep_size, "keep_size")
