"""``/api/teach``: clips by class, and the training."""

from typing import Annotated

from fastapi import APIRouter, HTTPException
from fastapi import Path as PathParameter
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field

from stream_client.errors import ConfigurationError
from stream_client.web.state import State
from stream_client.web.teach.trainer import TrainingState

_Id = Annotated[str, PathParameter(pattern="^[0-9a-f]{12}$")]


class ClipValue(BaseModel):
    """A clip: ``frames`` are those in which a person was seen, of ``total``."""

    id: str
    label: str
    frames: int
    total: int


class TeachState(BaseModel):
    """The clips, the folder that keeps their landmarks, and the training: its classifier and what it says.

    ``reading``: a file becomes a clip now. ``problem`` says why the last one became none.
    """

    folder: str
    clips: list[ClipValue]
    reading: bool
    problem: str
    training: TrainingState
    classifier: str
    text: str


class ClipRequest(BaseModel):
    """A class, and the id of an upload that shows it."""

    model_config = ConfigDict(extra="forbid")

    label: Annotated[str, Field(max_length=100)]
    upload: Annotated[str, Field(max_length=16)]


class CreatedClip(BaseModel):
    """The id of a clip that will be there."""

    id: str


class TrainingRequest(BaseModel):
    """``window_ms`` is how much of a movement is looked at, in milliseconds; 0: single poses."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=40)]
    window_ms: Annotated[float, Field(ge=0, le=10_000)] = 500.0


def router(state: State) -> APIRouter:
    """The routes."""
    made = APIRouter(prefix="/api/teach", tags=["teach"])
    clips, reader, trainer = state.clips, state.reader, state.trainer

    @made.get("")
    def teach() -> TeachState:
        """What was shown so far, and how the training is."""
        return TeachState(
            folder=str(clips.root),
            clips=[
                ClipValue(id=each.id, label=each.label, frames=each.frames, total=each.total) for each in clips.all()
            ],
            reading=reader.reads,
            problem=reader.problem,
            training=trainer.state,
            classifier=trainer.name,
            text=trainer.text(),
        )

    @made.post(
        "/clips", status_code=202, responses={400: {"description": "no such upload, no name of a class, or not now"}}
    )
    def clip(request: ClipRequest) -> CreatedClip:
        """Make a clip of an uploaded video, of up to 3000 frames. The file is deleted once it is read."""
        return CreatedClip(id=reader.start(request.label, state.places.upload(request.upload)))

    @made.delete("/clips/{id}", status_code=204, responses={404: {"description": "there is no such clip"}})
    def delete(id: _Id) -> None:
        """Remove a clip."""
        if not clips.delete(id):
            raise HTTPException(404, f"there is no clip {id!r}")

    @made.post("/training", status_code=202, responses={400: {"description": "it cannot begin; `detail` says why"}})
    def training(request: TrainingRequest) -> TeachState:
        """Train a classifier on the clips, in a process of its own."""
        if len({clip.label for clip in clips.all()}) < 2:
            raise ConfigurationError("two classes are the fewest: show another one")
        trainer.start(request.name, request.window_ms)
        return teach()

    @made.get("/report", response_class=FileResponse, responses={404: {"description": "nothing was trained yet"}})
    def report() -> FileResponse:
        """The report of the last training, to download: its pictures and styles are inside."""
        return FileResponse(_newest("report.html"), filename=f"{trainer.name}.html", media_type="text/html")

    @made.get("/model", response_class=FileResponse, responses={404: {"description": "nothing was trained yet"}})
    def model() -> FileResponse:
        """The classifier of the last training as ONNX."""
        return FileResponse(_newest(f"{trainer.name}.onnx"), filename=f"{trainer.name}.onnx")

    def _newest(name: str) -> str:
        folder = state.folders.classifiers / trainer.name
        versions = sorted((path for path in folder.glob(f"[0-9]*/{name}")), key=lambda path: int(path.parent.name))
        if not trainer.name or not versions:
            raise HTTPException(404, "nothing was trained yet")
        return str(versions[-1])

    return made
