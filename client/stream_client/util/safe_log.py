"""Log lines that are safe to show: without credentials and control characters."""

import logging

from stream_client.plain_text import printable
from stream_client.util.redact import redact

LINE_FORMAT = "%(levelname)s: %(message)s"


class SafeFormatter(logging.Formatter):
    """Removes credentials and control characters: tracebacks may contain URLs, and texts of a server."""

    LONGEST = 20_000
    """The most characters of a record, its traceback included."""

    def __init__(self) -> None:
        super().__init__(LINE_FORMAT)

    def format(self, record: logging.LogRecord) -> str:
        """The record's text."""
        return redact(printable(super().format(record)[: self.LONGEST]))


def log_to_standard_error(level: int, formatter: logging.Formatter) -> None:
    """Let the process log from this level on."""
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=[handler])
