"""What an examination found."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warning", "failed", "skipped"]
"""``failed``: the run would fail. ``warning``: something that it does not need, or can do without, is amiss."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the table; ``remedy`` says what to do, and is never empty for ``warning`` and ``failed``."""

    check: str
    status: Status
    found: str
    remedy: str = ""


def ok(check: str, found: str) -> Finding:
    """A check that passed."""
    return Finding(check, "ok", found)


def amiss(check: str, found: object, remedy: str, *, needed: bool) -> Finding:
    """A check that did not pass: it fails the examination if the run needs it."""
    return Finding(check, "failed" if needed else "warning", " ".join(str(found).split()), remedy)


def skipped(checks: Iterable[str], why: str) -> Iterator[Finding]:
    """Checks that could not be made."""
    for check in checks:
        yield Finding(check, "skipped", why)
