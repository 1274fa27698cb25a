"""How a student is trained, as a value."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from stream_client.util.settings import check, setting

Joints = Literal["33", "27"]


@dataclass(frozen=True, slots=True)
class DistillOptions:
    """A training of a student. Times are in seconds."""

    out: Path = field(default=Path("student"), metadata=setting("the model directory to write", metavar="DIR"))
    joints: Joints = field(default="33", metadata=setting("which joints to learn: MediaPipe's 33, or CoMotion's 27"))
    persons: bool = field(default=False, metadata=setting("learn from several persons in a frame (holisticPersons)"))
    rate: float = field(default=10.0, metadata=setting("samples of a person in a second of a stream", above=0))
    stream_seconds: float | None = field(
        default=None, metadata=setting("how much of each stream to take", unit="s", above=0, otherwise="all of it")
    )
    loop: bool = field(default=False, metadata=setting("go through the sources for ever; fetch others each time"))
    buffer: int = field(default=2000, metadata=setting("newest samples to keep in memory", minimum=1))
    memory: int = field(default=2000, metadata=setting("older samples to keep, a random part of all", minimum=1))
    steps: int = field(default=3000, metadata=setting("steps of the training, each of a batch", minimum=1))
    minutes: float | None = field(
        default=None, metadata=setting("end the training after so many minutes", above=0, otherwise="no limit")
    )
    batch: int = field(default=32, metadata=setting("samples of a batch", minimum=2, maximum=4096))
    learning_rate: float = field(default=1e-3, metadata=setting("highest learning rate", above=0))
    augmentation: bool = field(
        default=True, metadata=setting("vary the samples", off="learn from the samples as they are")
    )
    evaluate_every: int = field(default=100, metadata=setting("steps between evaluations", minimum=1))
    patience: int = field(
        default=10, metadata=setting("evaluations without a better one that end the training", minimum=1)
    )
    threads: int | None = field(
        default=None,
        metadata=setting(
            "threads of the training", minimum=1, otherwise="half of the processors: the teacher works beside it"
        ),
    )
    resume: bool = field(default=False, metadata=setting("go on from the checkpoint in the model directory"))
    seed: int = field(default=0, metadata=setting("seed of everything random", minimum=0))

    def __post_init__(self) -> None:
        check(self)
