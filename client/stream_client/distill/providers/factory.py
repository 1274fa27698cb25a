"""Providers by name, with their keys."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from stream_client.distill.providers.base import Provider
from stream_client.distill.providers.pexels import ADDRESS, Pexels
from stream_client.errors import ConfigurationError
from stream_client.util.extras import install_command
from stream_client.util.settings import check, setting

ProviderName = Literal["pexels"]
KEY = "PEXELS_API_KEY"


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """Which videos to fetch: ``n`` for each of ``queries``."""

    fetch: ProviderName | None = None
    queries: tuple[str, ...] = ()
    n: int = field(default=5, metadata=setting("videos of each query, in each pass", minimum=1, maximum=1000))
    fetch_address: str = field(
        default=ADDRESS, metadata=setting("another address of the provider's API", metavar="URL")
    )

    def __post_init__(self) -> None:
        check(self)
        if self.fetch is not None and not any(query.strip() for query in self.queries):
            raise ConfigurationError("say what the videos shall show: 'yoga pose', for instance", option="queries")
        if self.fetch is None and self.queries:
            raise ConfigurationError("queries are for videos that are fetched", option="fetch")


def open_provider(options: FetchOptions, folder: Path = Path()) -> Provider:
    """The provider, with its key from the environment or ``folder``/.env. Raises :class:`.ConfigurationError`."""
    return Pexels(_key(folder), address=options.fetch_address)


def _key(folder: Path) -> str:
    key = os.environ.get(KEY) or _written(folder / ".env")
    if not key:
        raise ConfigurationError(
            f"Pexels needs a key: get one at pexels.com/api, and put it into the environment as {KEY}, or into .env",
            option="fetch",
        )
    return key


def _written(file: Path) -> str | None:
    """The key in a file of lines ``NAME=value``."""
    if not file.is_file():
        return None
    try:
        from dotenv import dotenv_values
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"{file} needs python-dotenv: {install_command('distill')}", option="fetch") from error
    try:
        return dotenv_values(file, interpolate=False).get(KEY)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot read {file}: {error}", option="fetch") from error
