"""The library's messages on the command line: one line, without credentials, with the flag of each option."""

import logging
from collections.abc import Mapping

from stream_client.errors import StreamClientError
from stream_client.plain_text import one_line
from stream_client.util.redact import redact
from stream_client.util.safe_log import SafeFormatter, log_to_standard_error

FLAGS = {"postprocess": "--no_label_text", "source": "--input_stream", "sinks": "--output_stream", "input": "input"}
"""Flags that do not have their option's name, and arguments that have no flag."""


def with_flag(text: str, option: str | None, value: object = None, *, flags: Mapping[str, str] = FLAGS) -> str:
    """``text`` with the flag of ``option`` after it: ``no answer within 10 s (--request_timeout)``."""
    line = redact(one_line(text))
    if option is None:
        return line
    flag = flags.get(option, f"--{option}")
    return f"{line} ({flag})" if value is None else f"{line} ({flag} {value})"


def error_line(error: BaseException, *, flags: Mapping[str, str] = FLAGS) -> str:
    """What went wrong; ``flags`` are names of a command that do not follow the rule ``--option``."""
    if isinstance(error, StreamClientError):
        return with_flag(error.message, error.option, error.value, flags=flags)
    return with_flag(str(error), None)


def log(verbose: bool) -> None:
    """Let this process log what happens, or warnings only, with the flags of errors."""
    log_to_standard_error(logging.INFO if verbose else logging.WARNING, _Formatter())


class _Formatter(SafeFormatter):
    """Prints our errors with their flags."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's text."""
        shown = logging.makeLogRecord(record.__dict__)
        if isinstance(shown.args, tuple):
            shown.args = tuple(error_line(arg) if isinstance(arg, StreamClientError) else arg for arg in shown.args)
        return super().format(shown)
