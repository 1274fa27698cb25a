"""``/api/streams/ID/view``: the page that plays a finished run, with its landmarks and labels over its video."""

import base64
import hashlib
import os
import re
import tempfile
from pathlib import Path

from fastapi import APIRouter, HTTPException
from fastapi.responses import FileResponse

from stream_client.errors import ConfigurationError
from stream_client.review.page import template, write_page
from stream_client.review.recording import read_recording
from stream_client.sinks.output_file import sink_errors
from stream_client.web.streams.known import MISSING, Known, Responses
from stream_client.web.streams.stream import Stream

MAX_FRAMES = 20_000
"""Of a page: 11 minutes at 30 frames/s."""
_MAX_BYTES = 20_000 * MAX_FRAMES
_PAGE = ".view.html"
_ANSWERS: Responses = {
    200: {"content": {"text/html": {}}},
    400: {"description": "the run wrote no landmarks, or too many for a page"},
    409: {"description": "the stream runs"},
}


def router() -> APIRouter:
    """The route. Its handler waits, so it runs in a thread."""
    made = APIRouter(prefix="/api/streams", tags=["streams"])
    policy = _policy()

    @made.get("/{id}/view", response_class=FileResponse, responses=MISSING | _ANSWERS)
    def view(stream: Known) -> FileResponse:
        """A page with the landmarks of a finished run, a timeline of its labels and a turning skeleton. The first
        call encodes the video, if the input is a file.
        """
        if not stream.over:
            raise HTTPException(409, "the stream runs: stop it first")
        return FileResponse(_page(stream), media_type="text/html", headers={"content-security-policy": policy})

    return made


def _page(stream: Stream) -> Path:
    landmarks, labels, video = (stream.file(name) for name in ("landmarks_output", "labels_output", "input_stream"))
    if landmarks is None:
        raise ConfigurationError(
            "the run wrote no landmarks: start it again with landmarks_output", option="landmarks_output"
        )
    page = stream.folder / _PAGE
    if page.is_file() and page.stat().st_mtime >= landmarks.stat().st_mtime:
        return page
    if landmarks.stat().st_size > _MAX_BYTES:
        raise _too_long()
    recording = read_recording(landmarks, labels)
    if len(recording.rows) > MAX_FRAMES:
        raise _too_long()
    with (
        sink_errors("the page cannot be written", "data_dir"),
        tempfile.TemporaryDirectory(dir=stream.folder, prefix=".") as folder,
    ):
        written = Path(folder) / _PAGE
        write_page(recording, written, video=video, title=stream.name)
        os.replace(written, page)
    return page


def _too_long() -> ConfigurationError:
    return ConfigurationError(
        f"the run has more than {MAX_FRAMES} frames: play its files with ovms-stream-client view",
        option="landmarks_output",
    )


def _policy() -> str:
    """The page is one file: its own script and style are allowed by their hash, and no request."""
    sources = {
        name: " ".join(_hash(text) for text in re.findall(rf"<{name}>(.*?)</{name}>", template(), re.DOTALL))
        for name in ("script", "style")
    }
    return (
        f"default-src 'none'; script-src {sources['script']}; style-src {sources['style']}; media-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'self'; sandbox allow-scripts"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
