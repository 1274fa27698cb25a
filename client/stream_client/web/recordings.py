"""``/api/recordings``: what is found in recordings, and their files."""

import time
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import FileResponse
from pydantic import BaseModel

from stream_client.errors import ConfigurationError
from stream_client.recording import search
from stream_client.util.amounts import moment
from stream_client.web.state import State

MOST_FOUND = 500
_Text = Annotated[str | None, Query(max_length=200)]
_MEDIA_TYPES = {".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/quicktime", ".webm": "video/webm"}
_OTHERS = (".mkv", ".ts")


class FoundValue(BaseModel):
    """A span of a label, an event, or a file. Times are ISO 8601, ``seconds`` is the length of what has an end.

    ``file`` is below the folder of recordings, ``offset`` are seconds after its start; both are null where nothing was
    recorded, or the file is gone. A file is not ``complete`` while it is written.
    """

    stream: str
    kind: Literal["label", "event", "file"]
    name: str
    begin: str
    end: str | None
    seconds: float | None
    score: float | None
    file: str | None
    offset: float | None
    complete: bool


def router(state: State) -> APIRouter:
    """The routes. Their handlers wait, so they run in threads."""
    made = APIRouter(prefix="/api/recordings", tags=["recordings"])

    @made.get("/find", responses={400: {"description": "no recordings, or a time that is none"}})
    def find(
        label: _Text = None,
        event: _Text = None,
        stream: _Text = None,
        since: _Text = None,
        until: _Text = None,
        limit: Annotated[int, Query(ge=1, le=MOST_FOUND)] = 100,
    ) -> list[FoundValue]:
        """Spans of a label and events of a rule by time, the newest `limit`; without both, files.

        `since` and `until` are `2h`, `7d`, or a date and time.
        """
        folder, now = _folder(state), time.time()
        times = {name: moment(text, now, name) for name, text in (("since", since), ("until", until)) if text}
        query = search.Query(label or None, event or None, stream or None, limit=limit, **times)
        return [_value(each, folder) for each in search.find(folder, query)]

    @made.get("/file", response_class=FileResponse, responses={404: {"description": "there is no such file"}})
    def file(name: Annotated[str, Query(max_length=1000)]) -> FileResponse:
        """A file of a recording, as `find` names it."""
        folder = _folder(state).resolve()
        try:
            path = (folder / name).resolve()
            known = path.is_relative_to(folder) and path.is_file()
        except (OSError, ValueError, RuntimeError):  # too long, a zero byte, links in a circle
            known = False
        suffix = Path(name).suffix.lower()
        if not known or suffix not in (*_MEDIA_TYPES, *_OTHERS):
            raise HTTPException(404, "there is no such file in the recordings")
        return FileResponse(path, media_type=_MEDIA_TYPES.get(suffix, "application/octet-stream"))

    return made


def _folder(state: State) -> Path:
    folder = state.options.recordings_dir or state.places.media
    if folder is None:
        raise ConfigurationError(
            "no recordings can be searched: start the application with recordings_dir", option="recordings_dir"
        )
    return folder


def _value(found: search.Found, folder: Path) -> FoundValue:
    row = search.found_row(found)
    seconds = None if found.end is None else round(found.end - found.begin, 3)
    file = None if found.file is None else str(found.file.relative_to(folder))
    return FoundValue.model_validate({**row, "seconds": seconds, "file": file})
