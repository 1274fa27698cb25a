"""What became of the results at one output."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from stream_client.frames import Result


@dataclass(frozen=True, slots=True)
class OutputSnapshot:
    """Counts of frames at one output, at one moment.

    ``sent``: it took them. ``skipped``: newer ones were sent instead, since it was slower than they came.
    ``repeated``: sent again since nothing new came. ``lost``: they came while it was away, or after it had failed.
    ``away``: it has a connection, which is not there. ``reason``: why it is or was away.

    Rates are in bits a second: ``line_rate`` is what its line carries, ``None`` unless it was the limit;
    ``wanted_rate`` what the frames want; ``limit`` what the encoder may use, ``None``: as much as it wants.
    ``limited``: seconds in which the line was the limit. ``age``: seconds from the capture of the frame sent last until
    it has arrived, as far as this side can know. ``sound_sent`` and ``sound_dropped`` are packets of sound.
    ``shrunk``: what the frames are shrunk to now, as in ``half the size``; empty where they are whole.
    """

    sent: int = 0
    skipped: int = 0
    repeated: int = 0
    lost: int = 0
    away: bool = False
    reason: str = ""
    line_rate: float | None = None
    wanted_rate: float = 0.0
    limit: int | None = None
    limited: float = 0.0
    age: float = 0.0
    sound_sent: int = 0
    sound_dropped: int = 0
    shrunk: str = ""

    def line(self) -> str:
        """``148 sent, 2 skipped for newer ones, 3 repeated, 0 lost``."""
        counts = [f"{self.sent} sent", f"{self.skipped} skipped for newer ones"]
        counts += [f"{self.repeated} repeated", f"{self.lost} lost while it was away"]
        if self.limited and self.line_rate is not None:
            counts.append(f"the line carried {self.line_rate / 1000:.0f} kbit/s of {self.wanted_rate / 1000:.0f}")
        if self.shrunk:
            counts.append(f"shrunk to {self.shrunk} in the end")
        if self.sound_dropped:
            counts.append(f"{self.sound_dropped} of {self.sound_sent + self.sound_dropped} packets of sound dropped")
        return ", ".join(counts)

    def problem(self) -> str | None:
        """What is wrong with the output at the end of a run, in one clause; ``None``: nothing."""
        because = f": {self.reason}" if self.reason else ""
        if not self.sent and self.skipped + self.lost:
            return f"took no frame{because}"
        return f"was away at the end{because}" if self.away and self.sent else None


@runtime_checkable
class Publishing(Protocol):
    """A sink whose ``write`` returns before the result is sent. Optional: other sinks have taken what they wrote."""

    def follow(self, on_end: Callable[[Result, bool], None]) -> None:
        """Call ``on_end`` once for each result, with whether it was sent; from any thread. Called before ``open``."""

    def output(self) -> OutputSnapshot:
        """The counts now, from any thread."""
