"""What a batch writes, and where."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from stream_client.errors import ConfigurationError
from stream_client.util.amounts import duration
from stream_client.util.settings import check, setting

Kind = Literal["labels", "landmarks", "video"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """``output`` is a folder; ``results`` are what it gets of each video. ``workers`` are processes, or tasks.

    ``split`` and ``overlap`` are texts such as ``"10m"``.
    """

    output: Path = field(metadata=setting("folder for the results and the manifest", metavar="DIR"))
    results: tuple[Kind, ...] = field(
        default=("labels",), metadata=setting(f"what to write of each video: {', '.join(KINDS)}", metavar="KIND")
    )
    workers: int | None = field(
        default=None, metadata=setting("videos at a time", minimum=1, maximum=256, otherwise="one for each core")
    )
    max_failures: int | None = field(
        default=None,
        metadata=setting("stop after this number of failed videos", minimum=0, otherwise="never", metavar="N"),
    )

    split: str | None = field(
        default=None,
        metadata=setting(
            "cut longer videos into parts of about this length, as 10m, which are done side by side",
            otherwise="videos are done whole",
            metavar="LENGTH",
        ),
    )
    overlap: str = field(
        default="20s",
        metadata=setting("how much earlier a part begins to be read, for tracking and smoothing", metavar="LENGTH"),
    )

    def __post_init__(self) -> None:
        check(self)
        if self.split_seconds is not None and self.split_seconds < self.overlap_seconds:
            raise ConfigurationError(f"{self.split} is shorter than the overlap, {self.overlap}", option="split")
        for kind in self.results:
            if kind not in KINDS:
                raise ConfigurationError(f"{kind!r} is none of {', '.join(KINDS)}", option="results")

    @property
    def split_seconds(self) -> float | None:
        """Seconds of a part."""
        return None if self.split is None else duration(self.split, "split")

    @property
    def overlap_seconds(self) -> float:
        """Seconds of the overlap."""
        return duration(self.overlap, "overlap")
