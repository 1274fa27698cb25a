"""Clips with labels from annotation files."""

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path

from stream_client.errors import ConfigurationError, SourceError
from stream_client.training.annotations import Annotation, read_annotation_file
from stream_client.training.clips import LabelledClip, Span
from stream_client.training.material.beside import annotated_file, seen_below, spans_in_seconds
from stream_client.training.material.length import within
from stream_client.training.material.values import Material, SearchOptions
from stream_client.util.wording import counted, listed, told

WHOLE = (0.0, float("inf"))


def labeled_by(path: Path, video: Path, options: SearchOptions) -> Material:
    """``video`` with the labels in the annotation file ``path``, whatever that calls it.

    Of a file about several videos, only the labels of one with this name are taken. Raises
    :class:`.ConfigurationError` or :class:`.SourceError`.
    """
    material = Material()
    files = AnnotatedFiles(options, material.notes)
    files.add(path, video, named=True)
    material.clips += files.clips()
    return material


class AnnotatedFiles:
    """Collects the labels of files. What was left out is told in ``notes``; with ``strict`` it raises."""

    def __init__(self, options: SearchOptions, notes: list[str]) -> None:
        self._options = options
        self._notes = notes
        self._spans: dict[Path, list[Span]] = {}
        self._annotators: set[str] = set()
        self._below = functools.cache(seen_below)  # a folder is looked through once
        self._unlabeled: dict[Path, str] = {}

    def __contains__(self, file: Path) -> bool:
        return file in self._spans

    def take(self, file: Path, spans: Sequence[Span]) -> None:
        """Labels from elsewhere."""
        self._spans[file] = list(spans)

    def add(self, path: Path, only: Path | None = None, *, named: bool = False) -> bool:
        """Take the labels in an annotation file. Returns whether it is one. Raises :class:`.ConfigurationError`.

        ``only``: those of this file, which the user has ``named`` or the annotation names.
        """
        annotations = read_annotation_file(path, self._options.tier, self._options.annotator)
        if annotations is None:
            return False
        if not annotations:
            self._notes.append(f"{path} has no label")
        if only is not None and named:
            several = len({one.video for one in annotations}) > 1
            annotations = [one for one in annotations if not several or _is_called(one.video, only.name)]
        of = only if named else None
        wrong = [text for one in annotations for text in self._add(path, one, only, of)]
        if wrong and self._options.strict:
            raise ConfigurationError(f"{path}: {wrong[0]}", option="data")
        if wrong:
            self._notes.append(f"{path}: {counted(len(wrong), 'label')} skipped: {told(wrong)}")
        return True

    def _add(self, path: Path, annotation: Annotation, only: Path | None, of: Path | None) -> Sequence[str]:
        """Take the labels of a file by one annotator. Returns what was wrong with some of them."""
        try:
            file = of or annotated_file(path, annotation, self._below)
            if only is not None and file != only:
                return ()
            spans, beyond = within(file, spans_in_seconds(file, annotation))
        except SourceError as error:
            if self._options.strict:
                raise
            self._notes.append(f"skipped: {error.message}")
            return annotation.wrong
        self._annotators |= {annotation.annotator} - {""}
        self._unlabeled[file] = f"{path} has no label for {file.name}"
        of_file = self._spans.setdefault(file, [])
        if self._options.annotator is not None and annotation.annotator not in ("", self._options.annotator):
            return ()
        of_file += spans
        return (*annotation.wrong, *beyond)

    def clips(self) -> Iterator[LabelledClip]:
        """The files that have a label. Raises :class:`.ConfigurationError` if the annotator chosen is nobody's name."""
        chosen = self._options.annotator
        if chosen is not None and chosen not in self._annotators:
            names = listed(sorted(self._annotators)) or "none with a name"
            raise ConfigurationError(f"{chosen!r} labeled nothing: the annotators are {names}", option="annotator")
        for file, spans in self._spans.items():
            labeled = sorted((span for span in spans if span.label), key=lambda span: (span.start, span.label))
            unclear = tuple(span for span in spans if not span.label)
            if labeled:
                whole = all((span.start, span.end) == WHOLE for span in labeled)
                yield LabelledClip(file, tuple(labeled), whole=whole, unclear=unclear)
            else:
                self._notes.append(self._unlabeled.get(file, f"{file} has no label"))


def _is_called(written: str, name: str) -> bool:
    """Whether an annotation's path or URL, or an upload that Label Studio renamed, is of a file of this name."""
    return f"/{written}".replace("\\", "/").endswith((f"/{name}", f"-{name}"))
