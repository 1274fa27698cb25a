"""TOML, with the standard library or, on Python 3.10, with tomli."""

import sys
from collections.abc import Mapping

from stream_client.errors import ConfigurationError
from stream_client.util.extras import install_command


def parse_toml(text: str, extra: str) -> Mapping[str, object]:
    """The document. ``extra`` has tomli. Raises ``ValueError`` for text that is no TOML."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        try:
            import tomli as tomllib
        except ImportError as error:
            raise ConfigurationError(f"TOML needs tomli: {install_command(extra)}") from error
    return tomllib.loads(text)
