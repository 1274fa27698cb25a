"""Archives and downloads, put into a folder of their own."""

import errno
import re
import shutil
import urllib.request
import zipfile
import zlib
from http.client import HTTPException
from pathlib import Path
from urllib.parse import unquote, urlsplit

from stream_client.errors import ConfigurationError
from stream_client.util.wording import counted

_MOST_FILES = 100_000
_SPARE = 1 << 30
"""Bytes that stay free on the disk."""
_BLOCK = 1 << 20
_MOST_LETTERS = 100
_DRIVE = re.compile(r"^[A-Za-z]:")
_UNREADABLE = (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error, RuntimeError)
_TIMEOUT = 30.0


def is_url(name: str) -> bool:
    """Whether a name is a URL that can be downloaded."""
    return name.lower().startswith(("http://", "https://"))


def download(url: str, folder: Path) -> Path:
    """The file behind a URL, in ``folder``. Raises :class:`.ConfigurationError`."""
    target = folder / (Path(unquote(urlsplit(url).path)).name or "download")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # The scheme is http or https: is_url has seen it.
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as answer, target.open("wb") as file:
            while block := answer.read(_BLOCK):
                file.write(block)
                if shutil.disk_usage(folder).free < _SPARE:
                    raise ConfigurationError(f"{url} is larger than the free space", option="data")
    except (OSError, HTTPException, ValueError) as error:
        raise ConfigurationError(f"cannot download {url}: {error}", option="data") from error
    return target


def unpack(archive: Path, folder: Path) -> list[str]:
    """Put the files of a zip archive into ``folder``. Returns what could not be unpacked, and why.

    Raises :class:`.ConfigurationError` if that is all of it.
    """
    wrong = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(archive) as content:
            files = content.infolist()
            size = sum(file.file_size for file in files)
            if len(files) > _MOST_FILES:
                raise ConfigurationError(f"{archive} has {counted(len(files), 'file')}, too many", option="data")
            if size > shutil.disk_usage(folder).free - _SPARE:
                raise ConfigurationError(f"{archive} needs {size >> 20} MB, which are not free", option="data")
            for file in files:
                # Some tools of Windows write its paths.
                file.filename = _DRIVE.sub("", file.filename.replace("\\", "/"))
                try:
                    content.extract(file, folder)  # without absolute paths and without ..
                except _UNREADABLE as error:
                    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                        raise
                    wrong.append(f"{file.filename[:_MOST_LETTERS]} ({_why(error)})")
    except _UNREADABLE as error:
        raise ConfigurationError(f"cannot unpack {archive}: {_why(error)}", option="data") from error
    if wrong and len(wrong) == len([file for file in files if not file.is_dir()]):
        raise ConfigurationError(f"cannot unpack {archive}: {wrong[0]}", option="data")
    return wrong


def _why(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return "it is encrypted" if isinstance(error, RuntimeError) else str(error)
