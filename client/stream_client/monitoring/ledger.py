"""The frame ledger: every frame that entered ends in exactly one state, and the sums are checked."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from stream_client.errors import LedgerError

DROP_REASONS = {
    "replaced": "replaced by a newer one",
    "no_key_frame": "made from frames that are missing",
    "overwritten": "decoded while the client was busy",
    "stopped": "not sent before the stop",
    "in_graph": "dropped by the graph",
    "unreadable": "damaged, or in a format that cannot be converted",
    "max_fps": "above enforce_fps",
    "latency_budget": "left out for latency_budget",
    "damaged": "damaged on their way",
    "paused": "read while the run was paused",
    "connection_lost": "not sent while the server was away",
    "no_output": "taken by no output",
}
FAIL_REASONS = {
    "deadline": "no answer in time",
    "server_error": "refused by the server",
    "conversion": "not convertible for the model",
    "connection_lost": "lost with the connection",
    "output": "lost with an output that failed",
    "stopped": "unanswered at the stop",
}


@dataclass(frozen=True, slots=True)
class LedgerSnapshot:
    """Counts of frames at one moment. ``late``, ``duplicates`` and ``strays`` count answers, not frames.

    A stray answer is to a timestamp that no frame has. ``damaged`` counts the frames that came damaged, whatever became
    of them, and ``reused`` those that were not sent and got the result before them.
    """

    entered: int = 0
    delivered: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    failed: Mapping[str, int] = field(default_factory=dict)
    resent: int = 0
    late: int = 0
    duplicates: int = 0
    strays: int = 0
    damaged: int = 0
    reused: int = 0

    @property
    def pending(self) -> int:
        """Frames that have not ended yet."""
        return self.entered - self.delivered - sum(self.dropped.values()) - sum(self.failed.values())

    def check(self) -> None:
        """Raise :class:`.LedgerError` unless every frame that entered has ended."""
        if self.pending:
            raise LedgerError(f"the frame ledger does not add up: {self.line()}, {self.pending} unaccounted for")

    def line(self) -> str:
        """One line: ``230 frames: 228 delivered, 2 dropped (replaced by a newer one: 2), 0 failed``."""
        parts = [f"{self.entered} frame{'' if self.entered == 1 else 's'}: {self.delivered} delivered"]
        parts.append(_total("dropped", self.dropped, DROP_REASONS))
        parts.append(_total("failed", self.failed, FAIL_REASONS))
        if self.resent:
            parts.append(f"{self.resent} resent")
        if self.late:
            parts.append(f"{self.late} late answer{'' if self.late == 1 else 's'} ignored")
        if self.duplicates:
            parts.append(f"{self.duplicates} duplicate answer{'' if self.duplicates == 1 else 's'} ignored")
        if self.strays:
            parts.append(f"{self.strays} answer{'' if self.strays == 1 else 's'} to no frame ignored")
        if self.reused:
            parts.append(f"{self.reused} with the result before {'it' if self.reused == 1 else 'them'}")
        if used := self.damaged - self.dropped.get("damaged", 0):
            parts.append(f"{used} damaged frame{'' if used == 1 else 's'} used")
        return ", ".join(parts)


def _total(word: str, counts: Mapping[str, int], reasons: Mapping[str, str]) -> str:
    total = sum(counts.values())
    if not total:
        return f"0 {word}"
    details = "; ".join(f"{reasons.get(reason, reason)}: {count}" for reason, count in sorted(counts.items()))
    return f"{total} {word} ({details})"


class Ledger:
    """Counts frames in and out. Not thread-safe: the exchange calls it under its lock."""

    def __init__(self) -> None:
        self._entered = 0
        self._delivered = 0
        self._dropped: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._resent = 0
        self._late = 0
        self._duplicates = 0
        self._strays = 0
        self._damaged = 0
        self._reused = 0

    def enter(self) -> None:
        """A frame came out of the source."""
        self._entered += 1

    def deliver(self) -> None:
        """An output took a frame's result."""
        self._delivered += 1

    def keep(self, count: int) -> None:
        """Only ``count`` of the delivered frames are in an output that can be read; the others have failed."""
        lost = max(0, self._delivered - count)
        if lost:
            self._delivered -= lost
            self._failed["output"] += lost

    def drop(self, reason: str) -> None:
        """A frame was given up by a policy, on purpose."""
        self._dropped[reason] += 1

    def fail(self, reason: str) -> None:
        """A frame was lost to an error."""
        self._failed[reason] += 1

    def resend(self) -> None:
        """A frame is sent once more, to a new session."""
        self._resent += 1

    def late(self) -> None:
        """An answer came for a frame that had already ended."""
        self._late += 1

    def duplicate(self) -> None:
        """An output came twice for the same frame."""
        self._duplicates += 1

    def stray(self) -> None:
        """An answer came for a timestamp that no frame has."""
        self._strays += 1

    def damage(self) -> None:
        """A frame came damaged."""
        self._damaged += 1

    def reuse(self) -> None:
        """A frame that was not sent gets the result before it."""
        self._reused += 1

    def snapshot(self) -> LedgerSnapshot:
        """The counts now."""
        return LedgerSnapshot(
            entered=self._entered,
            delivered=self._delivered,
            dropped=dict(self._dropped),
            failed=dict(self._failed),
            resent=self._resent,
            late=self._late,
            duplicates=self._duplicates,
            strays=self._strays,
            damaged=self._damaged,
            reused=self._reused,
        )
