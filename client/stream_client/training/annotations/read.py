"""Finds the format of an annotation file by its content."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stream_client.errors import ConfigurationError
from stream_client.training.annotations import cvat, elan, label_studio, span_table, stream_pose_ml, via
from stream_client.training.annotations.places import json_content, xml_root
from stream_client.training.annotations.values import Annotation

_JSON: tuple[Callable[[Any], list[Annotation] | None], ...] = (stream_pose_ml.read, label_studio.read, via.read)
_FORMATS = "StreamPoseML, Label Studio (timeline labels), VIA 3, ELAN, CVAT, or a CSV table with video,start,end,label"
_MOST_BYTES = 256 << 20
_MOST_PLACED = 16 << 20
"""Letters of JSON up to which wrong labels are named with their line: 4 s. Larger files are read in a quarter of it."""
_UNREADABLE = (
    OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, SyntaxError, RecursionError, csv.Error
)  # fmt: skip


def read_annotation_file(path: Path, tier: str | None = None, annotator: str | None = None) -> list[Annotation] | None:
    """The annotations in ``path``, an entry for each video and annotator. ``None`` for a file that is no annotation.

    ``tier`` chooses a tier of ELAN; so does ``annotator``, where each has tiers. A wrong label is left out and told.
    Raises :class:`.ConfigurationError` with the file for one that cannot be read.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        return None
    try:
        if path.stat().st_size > _MOST_BYTES:
            return None
        return reader(path, tier, annotator)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error.message}", option=error.option) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not in UTF-8, as it has to be") from error
    except _UNREADABLE as error:
        raise ConfigurationError(f"cannot read annotations from {path}: {type(error).__name__}: {error}") from error


def _read_json(path: Path, tier: str | None, annotator: str | None) -> list[Annotation] | None:
    text = path.read_text(encoding="utf-8-sig")
    content = json_content(text, places=len(text) <= _MOST_PLACED)
    for reader in _JSON:
        found = reader(content)
        if found is not None:
            return found
    raise ConfigurationError(f"cannot read annotations from it: it is none of {_FORMATS}")


def _read_xml(path: Path, tier: str | None, annotator: str | None) -> list[Annotation] | None:
    root = xml_root(path)
    if root is None:
        return None
    if root.tag == "ANNOTATION_DOCUMENT":
        return elan.read(root, tier, annotator)
    if root.tag == "annotations":
        return cvat.read(root)
    raise ConfigurationError(f"cannot read annotations from it: it is none of {_FORMATS}")


def _read_csv(path: Path, tier: str | None, annotator: str | None) -> list[Annotation] | None:
    return span_table.read(path)


_READERS: dict[str, Callable[[Path, str | None, str | None], list[Annotation] | None]] = {
    ".json": _read_json,
    ".eaf": _read_xml,
    ".xml": _read_xml,
    ".csv": _read_csv,
}
