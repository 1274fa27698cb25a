"""Durations and sizes as people write them."""

import re
from datetime import datetime

from stream_client.errors import ConfigurationError

_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_BYTES = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_BYTES |= {"KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40}
_AMOUNT = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)\s*([A-Za-z]*)")


def duration(text: object, option: str) -> float:
    """Seconds of ``"90s"``, ``"10m"``, ``"2h"``, ``"14d"``, ``"1w"``, or a number of seconds.

    Raises :class:`.ConfigurationError` with ``option``, also for zero.
    """
    found = _AMOUNT.fullmatch(str(text).strip())
    if found is None or found[2].lower() not in _SECONDS or float(found[1]) == 0:
        raise ConfigurationError(f"{text!r} is no duration: 90s, 10m, 2h, 14d or 1w, for instance", option=option)
    return float(found[1]) * _SECONDS[found[2].lower()]


def size(text: object, option: str) -> int:
    """Bytes of ``"200GB"``, ``"1.5TB"``, ``"512MiB"``, or a number of bytes; raises as :func:`duration`."""
    found = _AMOUNT.fullmatch(str(text).strip())
    if found is None or found[2].upper() not in _BYTES or float(found[1]) == 0:
        raise ConfigurationError(f"{text!r} is no size: 500MB, 200GB or 1.5TB, for instance", option=option)
    return round(float(found[1]) * _BYTES[found[2].upper()])


def moment(text: str, now: float, option: str) -> float:
    """Seconds since 1970 of a date and time such as ``"2026-03-03 14:20"``, or of a :func:`duration` before ``now``.

    Without a time zone it is the local one. Raises as :func:`duration`.
    """
    try:
        return datetime.fromisoformat(text.strip()).timestamp()
    except (ValueError, OverflowError, OSError):
        pass
    try:
        return now - duration(text, option)
    except ConfigurationError:
        raise ConfigurationError(
            f"{text!r} is no moment: 2h, 7d, 2026-03-03 or '2026-03-03 14:20', for instance", option=option
        ) from None
