"""How events are found and where they go, as a value."""

from dataclasses import dataclass, field
from pathlib import Path

from stream_client.errors import ConfigurationError
from stream_client.util.settings import check, setting

_LONGEST = 60.0


@dataclass(frozen=True, slots=True)
class EventOptions:
    """Rules and outputs of events. Without ``events`` there are none; each is a file, rules in TOML, or ``"fall"``.

    ``clip_seconds``: how much a clip shows before and after its event, as ``"5,10"``; ``"0"`` for no clips.
    """

    events: tuple[str, ...] = field(
        default=(),
        metadata=setting(
            "TOML file of rules for events (see docs), such rules themselves, or fall: a detector of falls",
            metavar="FILE",
        ),
    )
    events_output: tuple[str, ...] = field(
        default=(),
        metadata=setting(
            "where events go: a .jsonl file, - (standard output), mqtt://, mqtts://, http://, https://, redis://, "
            "rediss://, udp:// (default: events.jsonl in events_dir)"
        ),
    )
    events_dir: Path = field(
        default=Path("events"), metadata=setting("folder for the snapshots and clips of events", metavar="DIR")
    )
    clip_seconds: str = field(
        default="5,10",
        metadata=setting("seconds before and after an event that its clip shows; 0: no clips", metavar="BEFORE,AFTER"),
    )

    def __post_init__(self) -> None:
        check(self)
        _ = self.clip
        if not self.events and self.events_output:
            raise ConfigurationError("events come from rules: name their file", option="events")

    @property
    def clip(self) -> tuple[float, float] | None:
        """Seconds before and after; ``None``: no clips."""
        try:
            numbers = [float(part) for part in self.clip_seconds.split(",")]
        except ValueError:
            numbers = []
        if numbers == [0]:
            return None
        if len(numbers) != 2 or not all(0 <= number <= _LONGEST for number in numbers):
            raise ConfigurationError(
                f"{self.clip_seconds!r} is no pair of seconds up to {_LONGEST:g}, or 0",
                option="clip_seconds",
                value="5,10",
            )
        return numbers[0], numbers[1]
