"""Range checks of options."""

from stream_client.errors import ConfigurationError

_MOST = 1e9
"""Thirty years in seconds: what an operating system's waits can take. It leaves out infinity, too."""


def check_above_zero(options: object, *names: str) -> None:
    """Raise :class:`ConfigurationError` unless each of these attributes is above 0, or ``None``."""
    for name in names:
        value = getattr(options, name)
        if value is not None and not 0 < value <= _MOST:
            raise ConfigurationError(f"a number above 0 is expected, not {value:g}", option=name)


def check_not_negative(options: object, *names: str) -> None:
    """Raise :class:`ConfigurationError` unless each of these attributes is 0 or more, or ``None``."""
    for name in names:
        value = getattr(options, name)
        if value is not None and not 0 <= value <= _MOST:
            raise ConfigurationError(f"a number from 0 is expected, not {value:g}", option=name)
