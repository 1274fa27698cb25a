"""Parquet, where pyarrow is installed."""

from typing import Any

from stream_client.errors import ConfigurationError
from stream_client.util.extras import install_command


def arrow(option: str | None = None, instead: str = "") -> tuple[Any, Any]:
    """The modules ``pyarrow`` and ``pyarrow.parquet``. Raises :class:`.ConfigurationError` about ``option``.

    ``instead`` says what else a user can do.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"Parquet needs pyarrow: {install_command('parquet')}{instead}", option=option
        ) from error
    return pyarrow, parquet
