"""The library's messages on the command line: one line, without credentials, with the flag of each option."""

from collections.abc import Mapping

from stream_client.errors import StreamClientError
from stream_client.plain_text import one_line
from stream_client.util.redact import redact

_FLAGS = {"postprocess": "--no_label_text", "source": "--input_stream", "sinks": "--output_stream"}
"""Flags that do not have their option's name."""


def with_flag(text: str, option: str | None, value: object = None, *, flags: Mapping[str, str] = _FLAGS) -> str:
    """``text`` with the flag of ``option`` after it: ``no answer within 10 s (--request_timeout)``."""
    line = redact(one_line(text))
    if option is None:
        return line
    flag = flags.get(option, f"--{option}")
    return f"{line} ({flag})" if value is None else f"{line} ({flag} {value})"


def error_line(error: BaseException, *, flags: Mapping[str, str] = _FLAGS) -> str:
    """What went wrong; ``flags`` are names of a command that do not follow the rule ``--option``."""
    if isinstance(error, StreamClientError):
        return with_flag(error.message, error.option, error.value, flags=flags)
    return with_flag(str(error), None)
