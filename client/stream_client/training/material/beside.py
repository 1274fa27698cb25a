"""The files that belong to an annotation, and the labels that belong to a file."""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

import av
import av.error

from stream_client.errors import SourceCodecError, SourceError, SourceNotFoundError
from stream_client.training.annotations import Annotation
from stream_client.training.clips import Span
from stream_client.util.container import UNLISTED
from stream_client.util.file_kinds import is_photo, is_recording, is_seen

_EPSILON = 1e-6

Below = Callable[[Path], Mapping[str, Sequence[Path]]]
"""Takes a folder. Returns the videos, photos and landmarks below it, by their names in small letters."""


def annotated_file(path: Path, annotation: Annotation, below: Below) -> Path:
    """The video, photo or landmarks that an annotation is about. Raises :class:`.SourceNotFoundError`.

    It is the file that it names, beside it or at the same place below its folder, or the file of its own name, or the
    only one of the name that it gives anywhere below its folder.
    """
    named = Path(unquote(urlsplit(annotation.video.replace("\\", "/")).path))
    stem = path.name.rpartition(".")[0].removesuffix(".annotations").removesuffix(".labels")
    candidates = [path.parent / named.name, path.parent / str(named).lstrip("/")] if named.name else []
    candidates += _renamed(path.parent, named.name) if named.name else []
    candidates += sorted(path.parent.glob(f"{_escaped(stem)}.*"))
    for candidate in candidates:
        if candidate.is_file() and is_seen(candidate) and candidate != path:
            return Path(os.path.normpath(candidate))
    deeper = below(path.parent).get(named.name.casefold(), ()) if named.name else ()
    if len(deeper) == 1:
        return Path(os.path.normpath(deeper[0]))
    if deeper:
        raise SourceNotFoundError(f"{path} is about {named.name}, and there are {len(deeper)} of them below its folder")
    about = f"{named.name}, and neither that nor {stem}.*" if named.name else f"a file of its name, and no {stem}.*"
    raise SourceNotFoundError(f"{path} is about {about} is beside it")


def seen_below(folder: Path) -> dict[str, list[Path]]:
    """The videos, photos and landmarks below a folder, by their names in small letters."""
    found: dict[str, list[Path]] = {}
    for parent, _, names in os.walk(folder):
        for path in (Path(parent, name) for name in names if not name.startswith(".")):
            if is_seen(path):
                found.setdefault(path.name.casefold(), []).append(path)
    return found


def _renamed(folder: Path, name: str) -> list[Path]:
    """The files that were written in other letters, or that Label Studio has renamed: with eight digits before the
    name, underscores for spaces, and no other signs."""
    uploaded = re.sub(r"^[0-9a-f]{8}-", "", name)
    files = sorted(path for path in folder.iterdir() if path.name.casefold() == name.casefold())
    if uploaded != name:
        files += sorted(path for path in folder.iterdir() if uploaded in (path.name, _uploaded(path.name)))
    return files


def _uploaded(name: str) -> str:
    return re.sub(r"[^-\w.]", "", name.strip().replace(" ", "_"))


def annotation_beside(file: Path) -> Path | None:
    """The annotation file of the same name beside a video, if there is one."""
    names = (f"{file.stem}{suffix}" for suffix in (".annotations.json", ".json", ".eaf", ".xml", ".csv"))
    return next((path for path in (file.with_name(name) for name in names) if path.is_file()), None)


def spans_in_seconds(file: Path, annotation: Annotation) -> tuple[Span, ...]:
    """The labels in seconds. Frames last until the next one. Raises :class:`.SourceError`."""
    if not annotation.frames:
        return annotation.spans
    rate = frame_rate(file)
    counted = (
        Span(one.first / rate, (one.last + 1) / rate - _EPSILON, one.label, annotation.annotator, one.place)
        for one in annotation.frames
    )
    return tuple(sorted((*annotation.spans, *counted), key=lambda span: (span.start, span.label)))


def frame_rate(file: Path) -> float:
    """Frames a second of a video. Raises :class:`.SourceError`."""
    if is_recording(file) or is_photo(file):
        raise SourceError(f"{file} has no frame rate, and its labels are counted in frames: give them in seconds")
    try:
        with av.open(f"file:{file}", options=UNLISTED) as container:
            rate = container.streams.video[0].average_rate if container.streams.video else None
    except (av.error.FFmpegError, OSError) as error:
        raise SourceCodecError(f"{file} is not a video that can be read: {error.strerror}") from error
    if not rate:
        raise SourceCodecError(f"{file} has no frame rate, and its labels are counted in frames")
    return float(rate)


def label_file(path: Path) -> Path | None:
    """Our own labels beside landmarks: ``NAME.labels.jsonl`` or ``NAME.labels.parquet``."""
    for suffix in (".jsonl", ".parquet"):
        found = path.with_name(f"{path.stem}.labels{suffix}")
        if found.is_file():
            return found
    return None


def _escaped(stem: str) -> str:
    return "".join(f"[{character}]" if character in "*?[" else character for character in stem)
