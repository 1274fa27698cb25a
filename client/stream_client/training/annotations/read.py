"""Finds the format of an annotation file by its content."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from defusedxml.ElementTree import parse

from stream_client.errors import ConfigurationError
from stream_client.training.annotations import cvat, elan, label_studio, span_table, stream_pose_ml, via
from stream_client.training.annotations.values import Annotation
from stream_client.training.clips import Span, one_line

_JSON: tuple[Callable[[Any], list[Annotation] | None], ...] = (stream_pose_ml.read, label_studio.read, via.read)
_FORMATS = "StreamPoseML, Label Studio (timeline labels), VIA 3, ELAN, CVAT, or a CSV table with video,start,end,label"
_MOST_BYTES = 256 << 20


def read_annotation_file(path: Path, tier: str | None = None) -> list[Annotation] | None:
    """The annotations in ``path``, an entry for each video. ``None`` for a file that is no annotation.

    ``tier`` chooses a tier of ELAN. Raises :class:`.ConfigurationError` with the file for a bad one.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        return None
    try:
        if path.stat().st_size > _MOST_BYTES:
            return None
        found = reader(path, tier)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error.message}", option=error.option) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not in UTF-8, as it has to be") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, SyntaxError) as error:
        raise ConfigurationError(f"cannot read annotations from {path}: {type(error).__name__}: {error}") from error
    return None if found is None else [_checked(annotation, path) for annotation in found]


def _checked(annotation: Annotation, path: Path) -> Annotation:
    spans = tuple(Span(span.start, span.end, one_line(span.label)) for span in annotation.spans)
    for span in spans:
        if not span.label:
            raise ConfigurationError(f"{path}: the span from {span.start:g} s has no label")
        if not 0 <= span.start < span.end:
            raise ConfigurationError(f"{path}: {span.label!r} ends at {span.end:g} s, before it starts")
    for frames in annotation.frames:
        if not 0 <= frames.first <= frames.last:
            raise ConfigurationError(f"{path}: {frames.label!r} ends at frame {frames.last}, before it starts")
    ordered = tuple(sorted(spans, key=lambda span: (span.start, span.label)))
    return Annotation(annotation.video, ordered, annotation.frames)


def _read_json(path: Path, tier: str | None) -> list[Annotation] | None:
    content = json.loads(path.read_text(encoding="utf-8-sig"))
    for reader in _JSON:
        found = reader(content)
        if found is not None:
            return found
    raise ConfigurationError(f"cannot read annotations from it: it is none of {_FORMATS}")


def _read_xml(path: Path, tier: str | None) -> list[Annotation] | None:
    root: Element | None = parse(path).getroot()
    if root is None:
        return None
    if root.tag == "ANNOTATION_DOCUMENT":
        return elan.read(root, tier)
    if root.tag == "annotations":
        return cvat.read(root)
    raise ConfigurationError(f"cannot read annotations from it: it is none of {_FORMATS}")


def _read_csv(path: Path, tier: str | None) -> list[Annotation] | None:
    return span_table.read(path)


_READERS: dict[str, Callable[[Path, str | None], Sequence[Annotation] | Any]] = {
    ".json": _read_json,
    ".eaf": _read_xml,
    ".xml": _read_xml,
    ".csv": _read_csv,
}
