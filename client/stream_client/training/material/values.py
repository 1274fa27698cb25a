"""What a search takes and gives."""

from dataclasses import dataclass, field
from pathlib import Path

from stream_client.training.clips import LabelledClip


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """``tier`` chooses a tier of ELAN. ``annotator`` chooses one where annotations name several. With ``strict``, the
    first file or label that cannot be used raises.

    ``scratch`` is a folder for downloads and unpacked archives. It has to stay until the landmarks are found.
    """

    scratch: Path
    tier: str | None = None
    annotator: str | None = None
    strict: bool = False


@dataclass(slots=True)
class Material:
    """What was found. ``notes`` names what was skipped."""

    clips: list[LabelledClip] = field(default_factory=list)
    tables: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
