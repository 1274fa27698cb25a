"""Standard output and standard error that may be closed, broken, or in an odd encoding."""

import io
import os
import sys


class _Forgiving(io.TextIOWrapper):
    """A text stream for messages. A reader that has gone away, or a full disk, is no reason to end."""

    def write(self, text: str, /) -> int:
        """Write, or give up what cannot be written."""
        try:
            return super().write(text)
        except (OSError, ValueError):
            self._forget()
            return len(text)

    def flush(self) -> None:
        """Flush, or give up what cannot be written."""
        try:
            super().flush()
        except (OSError, ValueError):
            self._forget()

    def _forget(self) -> None:
        """What was not written is tried again at each flush, and at the end of Python: let it go nowhere."""
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 2)
        os.close(null)


def mend_standard_streams() -> None:
    """Before any file is opened: a file in the place of a closed standard stream would get what others print there."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    elif sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - open until the end
    sys.stderr = _Forgiving(
        io.BufferedWriter(io.FileIO(2, "w", closefd=False)),
        encoding=getattr(sys.stderr, "encoding", "utf-8"),
        errors="backslashreplace",
        line_buffering=True,
    )
