"""Finds labeled clips, photos, landmarks and tables in what a user names."""

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from stream_client.classify.decision import UNKNOWN
from stream_client.errors import ConfigurationError, SourceError
from stream_client.training.clips import LabelledClip, Span, one_line
from stream_client.training.material.annotated import WHOLE, AnnotatedFiles
from stream_client.training.material.archives import download, is_url, unpack
from stream_client.training.material.beside import annotation_beside, label_file
from stream_client.training.material.recordings import read_labels
from stream_client.training.material.values import Material, SearchOptions
from stream_client.util.file_kinds import ARCHIVE, is_recording, is_seen
from stream_client.util.wording import counted, listed

BACKGROUND = "_background"
"""The folder of clips and photos that show none of the classes."""
_DEEPEST = 3
"""An archive may be in so many others."""
_DESCRIPTIONS = ARCHIVE | {".json", ".eaf", ".xml", ".csv"}
_CHOICES = ("tier", "annotator")
"""Options without which no file can be used as it is meant."""
_HINTS = {
    (".heic", ".heif"): " (save photos of HEIC as JPEG)",
    (".7z", ".rar", ".tar", ".tgz", ".gz", ".xz"): " (of archives, zip is read)",
    (".xlsx", ".xls", ".ods"): " (save tables as CSV)",
}
"""What to do with files that people bring, and that are not read, by the ends of their names."""
_FORMS = "name a folder with one folder of clips or photos a class, annotations, landmarks, a table, or a zip of these"


def search(names: Sequence[str], options: SearchOptions) -> Material:
    """The material behind paths, globs and URLs. Raises :class:`.ConfigurationError` if there is none."""
    searcher = _Searcher(options)
    for name in names:
        searcher.add(name)
    found = searcher.finished()
    if not found.clips and not found.tables:
        why = f" ({'; '.join(found.notes[:5])})" if found.notes else ""
        raise ConfigurationError(f"{' '.join(names)} holds no labeled data: {_FORMS}{why}", option="data")
    if found.clips and not options.strict:
        # A table beside clips in a folder is about something else.
        named = [table for table in found.tables if str(table) in names]
        found.notes += [
            f"skipped: {table} does not begin with video,start,end,label"
            for table in found.tables
            if table not in named
        ]
        found.tables = named
    if found.tables and (found.clips or len(found.tables) > 1):
        tables = listed([str(table) for table in found.tables])
        raise ConfigurationError(f"a table is trained on alone, not {tables} with other data", option="data")
    return found


class _Searcher:
    def __init__(self, options: SearchOptions) -> None:
        self._options = options
        self._found = Material()
        self._annotated = AnnotatedFiles(options, self._found.notes)
        self._folders: list[tuple[Path, str, str]] = []  # file, class, person or session
        self._alone: list[Path] = []
        self._bare: dict[Path, list[Path]] = {}
        """The clips and photos in each folder that holds nothing else to learn from."""
        self._foreign: list[str] = []
        self._count = 0

    def add(self, name: str) -> None:
        if is_url(name):
            self._add_path(download(name, self._next_folder()), name)
            return
        path = Path(name)
        if name and os.path.exists(name):
            self._add_path(path, name)
        elif glob.has_magic(name):
            matches = sorted(glob.glob(name, recursive=True))
            if not matches:
                raise ConfigurationError(f"nothing matches {name}", option="data")
            for match in matches:
                self._add_path(Path(match), match)
        else:
            raise ConfigurationError(f"{name} does not exist", option="data")

    def _next_folder(self) -> Path:
        self._count += 1
        return self._options.scratch / str(self._count)

    def _add_path(self, path: Path, name: str) -> None:
        if path.is_dir():
            self._add_folder(path)
        elif path.suffix.lower() in ARCHIVE:
            self._add_archive(path)
        elif not self._add_described(path) and is_seen(path):
            beside = annotation_beside(path)
            if beside is not None:
                self._add_described(beside, only=path)
            elif is_recording(path):
                self._alone.append(path)
            else:
                self._folders.append((path, _class_of(path.resolve().parent.name), ""))

    def _add_archive(self, path: Path, within: tuple[str, ...] = (), depth: int = 0) -> None:
        # The folder is called as the archive, which may be that of a class.
        folder = self._next_folder() / path.stem
        if wrong := unpack(path, folder):
            files = f"{path}: {counted(len(wrong), 'file')} cannot be unpacked: {listed(wrong)}"
            if self._options.strict:
                raise ConfigurationError(files, option="data")
            self._found.notes.append(files)
        folder = _only_folder(folder)
        inside = list(self._files(folder))
        if not within and len(inside) == 1 and inside[0].suffix.lower() in ARCHIVE:
            self._add_archive_inside(inside[0], (), depth)  # only wrapped, in folders that are no classes
        else:
            self._add_folder(folder, within, depth)

    def _add_archive_inside(self, path: Path, within: tuple[str, ...], depth: int) -> None:
        try:
            if depth >= _DEEPEST:
                raise ConfigurationError(f"{path} is an archive in {depth} others", option="data")
            self._add_archive(path, within, depth + 1)
        except ConfigurationError as error:
            if self._options.strict or error.option == "tier":
                raise
            self._found.notes.append(f"skipped: {error.message}")

    def _add_folder(self, root: Path, within: tuple[str, ...] = (), depth: int = 0) -> None:
        """``within`` are the names of a class's folder, and of those in it, which hold ``root``."""
        alone: list[Path] = []
        described = False
        filled = set()
        for path in self._files(root):
            folders = (*within, *path.relative_to(root).parts[:-1])
            if is_seen(path) or path.suffix.lower() in _DESCRIPTIONS:
                filled.add(path.relative_to(root).parts[0])
            if path.suffix.lower() in ARCHIVE:
                self._add_archive_inside(path, (*folders, path.stem) if folders else (), depth)
            elif self._add_described(path):
                described = True
            elif path.stem.endswith(".labels"):
                continue  # read with the landmarks beside it
            elif not is_seen(path):
                self._foreign.append(path.name)
            elif folders:
                self._folders.append((path, _class_of(folders[0]), folders[1] if len(folders) > 1 else ""))
                described = True
            else:
                alone.append(path)
        if filled and not within:
            empty = sorted(name for name in _folders(root) if name not in filled)
            self._found.notes += [f"{root / name} holds no clip, photo or landmarks" for name in empty]
        self._alone += alone
        bare = [] if described else [path for path in alone if not is_recording(path)]
        if depth:  # an archive beside folders of classes is as one of them
            self._folders += [(path, _class_of(root.name), "") for path in bare]
        elif bare:
            self._bare[root] = bare

    def _files(self, root: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
        """The files below a folder, without hidden ones, those of macOS's archiver, and models that we wrote."""
        try:
            inside = sorted(root.iterdir())
        except OSError as error:
            if self._options.strict:
                raise ConfigurationError(f"cannot read {root}: {error.strerror}", option="data") from error
            self._found.notes.append(f"skipped: cannot read {root}: {error.strerror}")
            return
        for path in inside:
            if _is_hidden(path):
                continue
            if os.path.isdir(path):
                # A link may lead to a folder above.
                if path.resolve() not in (*above, root.resolve()) and not _is_model(path):
                    yield from self._files(path, (*above, root.resolve()))
            elif os.path.isfile(path):
                yield path

    def _add_described(self, path: Path, only: Path | None = None) -> bool:
        """Take an annotation file or a table. Returns whether the file is one. ``only``: the labels of this file."""
        try:
            if self._annotated.add(path, only):
                return True
        except ConfigurationError as error:
            if self._options.strict or error.option in _CHOICES:
                raise
            self._found.notes.append(f"skipped: {error.message}")
            return True
        if path.suffix.lower() == ".csv":
            self._found.tables.append(path)
            return True
        return False

    def finished(self) -> Material:
        """Everything, in a fixed order."""
        found = self._found
        if len(self._bare) > 1:
            of_roots = [(_class_of(root.resolve().name), paths) for root, paths in self._bare.items()]
            self._folders += [(path, label, "") for label, paths in of_roots for path in paths]
        of_folders = {os.path.abspath(path): (path, label, group) for path, label, group in reversed(self._folders)}
        for path in dict.fromkeys(self._alone):
            if path in self._annotated or os.path.abspath(path) in of_folders:
                continue
            if spans := self._labels_of(path):
                self._annotated.take(path, spans)
        for path, label, group in reversed(of_folders.values()):
            if path not in self._annotated:
                found.clips.append(LabelledClip(path, (Span(*WHOLE, label),), whole=True, group=group))
        found.clips += self._annotated.clips()
        if self._foreign:
            files = counted(len(self._foreign), "other file")
            names = [name.lower() for name in self._foreign]
            hints = [hint for ends, hint in _HINTS.items() if any(name.endswith(ends) for name in names)]
            found.notes.append(f"{files} skipped: {listed(self._foreign)}{''.join(hints)}")
        return found

    def _labels_of(self, path: Path) -> Sequence[Span]:
        """The labels of a file that stands in no folder of a class."""
        try:
            if is_recording(path):
                beside = label_file(path)
                spans = read_labels(path if beside is None else beside)
                if spans:
                    return spans
                others = [other for other in self._alone if is_recording(other) and other != path]
                if others:
                    return (Span(*WHOLE, one_line(path.stem)),)  # one file a class
                hint = (
                    f"add a column label, put {path.stem}.csv with start,end,label beside it, or bring a file a class"
                )
            else:
                hint = "put it into a folder of its class, or annotate it"
            text = f"{path} has no labels: {hint}"
        except SourceError as error:
            text = f"skipped: {error.message}"
        if self._options.strict:
            raise ConfigurationError(text, option="data")
        self._found.notes.append(text)
        return ()


def _class_of(folder: str) -> str:
    return UNKNOWN if folder == BACKGROUND else one_line(folder)


def _folders(root: Path) -> list[str]:
    """The folders in a folder that may be classes."""
    inside = (path for path in root.iterdir() if not _is_hidden(path))
    return [path.name for path in inside if os.path.isdir(path) and not _holds_model(path)]


def _is_hidden(path: Path) -> bool:
    """Whether a file or folder is hidden, or the one that macOS's archiver adds."""
    return path.name.startswith(".") or path.name == "__MACOSX"


def _holds_model(folder: Path) -> bool:
    try:
        return any(_is_model(path) for path in (folder, *folder.iterdir()))
    except OSError:
        return True  # another note names what cannot be read


def _is_model(folder: Path) -> bool:
    """Whether a folder is a version that a training wrote: its picture is no photo of a class."""
    return all(os.path.isfile(folder / name) for name in ("schema.json", "labels.txt"))


def _only_folder(root: Path) -> Path:
    """Where an archive's tree begins: many have one folder around everything."""
    while True:
        inside = [path for path in root.iterdir() if not _is_hidden(path)]
        folders = [path for path in inside if path.is_dir()]
        used = any(is_seen(path) or path.suffix.lower() in _DESCRIPTIONS for path in inside if path.is_file())
        if used or len(folders) != 1 or not any(path.is_dir() for path in folders[0].iterdir()):
            return root
        root = folders[0]
