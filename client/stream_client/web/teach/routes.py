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
    """The clips, the folder that keeps their landmarks, and the training: its classifier and what it says."""

    folder: str
    clips: list[ClipValue]
    training: TrainingState
    classifier: str
    text: str


class TrainingRequest(BaseModel):
    """``window_ms`` is how much of a movement is looked at, in milliseconds; 0: single poses."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=40)]
    window_ms: Annotated[float, Field(ge=0, le=10_000)] = 500.0


def router(state: State) -> APIRouter:
    """The routes."""
    made = APIRouter(prefix="/api/teach", tags=["teach"])
    clips, trainer = state.clips, state.trainer

    @made.get("")
    def teach() -> TeachState:
        """What was shown so far, and how the training is."""
        return TeachState(
            folder=str(clips.root),
            clips=[
                ClipValue(id=each.id, label=each.label, frames=each.frames, total=each.total) for each in clips.all()
            ],
            training=trainer.state,
            classifier=trainer.name,
            text=trainer.text(),
        )

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
