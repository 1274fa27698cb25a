"""What an examination found."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from stream_client.errors import StreamClientError
from stream_client.plain_text import one_line
from stream_client.util.redact import redact

Status = Literal["ok", "warning", "failed", "skipped"]
"""``failed``: the run would fail. ``warning``: something is wrong that the run does not need."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the table.

    ``remedy`` says what to do, and is never empty for ``warning`` and ``failed``. ``option`` is the setting it is
    about, ``value`` a value to try.
    """

    check: str
    status: Status
    found: str
    remedy: str = ""
    option: str | None = None
    value: object = None


def ok(check: str, found: str) -> Finding:
    """A check that passed."""
    return Finding(check, "ok", one_line(found))


def amiss(
    check: str, found: object, remedy: str, *, needed: bool, option: str | None = None, value: object = None
) -> Finding:
    """A check that did not pass: it fails the examination if the run needs it.

    Where ``found`` is an error of ours, the remedy's ``option`` is that error's, unless another is named.
    """
    if isinstance(found, StreamClientError):
        if option is None:
            option, value = found.option, found.value
        found = found.message
    status: Status = "failed" if needed else "warning"
    return Finding(check, status, redact(one_line(str(found))), remedy, option, value)


def skipped(checks: Iterable[str], why: str) -> Iterator[Finding]:
    """Checks that could not be made."""
    for check in checks:
        yield Finding(check, "skipped", why)
