"""``/api/uploads``: files that streams read as ``upload:ID``."""

import re
import secrets
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, UploadFile
from fastapi import Path as PathParameter
from pydantic import BaseModel

from stream_client.errors import SourceError
from stream_client.web.containers import check_video
from stream_client.web.state import State
from stream_client.web.streams.places import UPLOAD

MOST_UPLOADS = 100
_SPARE_BYTES = 64 << 20
"""What an upload leaves free on the disk."""
_LONGEST_NAME = 160
"""Bytes, as file systems count."""
_MISSING: dict[int | str, dict[str, Any]] = {404: {"description": "there is no such upload"}}
_Id = Annotated[str, PathParameter(pattern="^[0-9a-f]{16}$")]


class Upload(BaseModel):
    """A file that is here. ``input_stream`` names it in the settings of a stream."""

    id: str
    name: str
    bytes: int
    input_stream: str


def router(state: State) -> APIRouter:
    """The routes."""
    made = APIRouter(prefix="/api/uploads", tags=["uploads"])
    folder = state.folders.uploads

    @made.post(
        "",
        status_code=201,
        responses={
            400: {"description": "no video"},
            413: {"description": "larger than `max_upload`"},
            429: {"description": "too many files are kept"},
            507: {"description": "the disk is full"},
        },
    )
    def upload(file: UploadFile) -> Upload:
        """Upload a video file, as `multipart/form-data`."""
        if sum(1 for _ in folder.iterdir()) >= MOST_UPLOADS:
            raise HTTPException(429, f"{MOST_UPLOADS} files are kept: delete some")
        if (file.size or 0) + _SPARE_BYTES > shutil.disk_usage(folder).free:
            raise HTTPException(507, "the disk is full: delete files, or choose another data_dir")
        name = _plain(file.filename or "")
        path = folder / f"{secrets.token_hex(8)}.{name}"
        try:
            with path.open("xb") as copy:
                shutil.copyfileobj(file.file, copy)
            check_video(path, name)
        except OSError as error:
            path.unlink(missing_ok=True)
            raise HTTPException(507, f"the file cannot be kept: {error.strerror}") from error
        except SourceError:
            path.unlink(missing_ok=True)
            raise
        return _value(path)

    @made.get("")
    def uploads() -> list[Upload]:
        """The files that are here."""
        found = []
        for path in sorted(folder.iterdir()):
            with suppress(OSError):  # deleted meanwhile
                found.append(_value(path))
        return found

    @made.delete("/{id}", status_code=204, responses=_MISSING)
    def delete(id: _Id) -> None:
        """Delete a file. A stream that reads it goes on."""
        found = list(folder.glob(f"{id}.*"))
        if not found:
            raise HTTPException(404, "there is no such upload")
        for path in found:
            path.unlink(missing_ok=True)

    return made


def _plain(name: str) -> str:
    """The last part of a name, in characters that no shell or file system minds."""
    last = re.sub(r"[^\w.-]", "_", re.split(r"[/\\]", name)[-1])
    return last.encode()[-_LONGEST_NAME:].decode(errors="ignore").lstrip(".") or "video"


def _value(path: Path) -> Upload:
    id, _, name = path.name.partition(".")
    return Upload(id=id, name=name, bytes=path.stat().st_size, input_stream=f"{UPLOAD}{id}")
