"""The files and addresses that a run writes, each of them once."""

import os
from collections.abc import Sequence
from pathlib import Path

from stream_client.errors import ConfigurationError
from stream_client.options import StreamOptions
from stream_client.util.redact import redact
from stream_client.util.settings import Settings, read
from stream_client.util.urls import same_place


def files_written(given: Settings) -> list[tuple[str, Path]]:
    """The files that a run writes, each with its setting."""
    stream = read(StreamOptions, given)
    files = [("output_stream", Path(spec)) for spec in video_files(stream)]
    for name in ("labels_output", "label_changes_output", "landmarks_output"):
        path: Path | None = getattr(stream, name)
        if path is not None:
            files.append((name, path))
    return files


def check_files(given: Settings, others: Sequence[tuple[str, Path]] = ()) -> None:
    """Raise :class:`.ConfigurationError` for a file or address that two outputs write, or for a file that is read.

    ``others`` are files that are written beside the run's own, each with its setting.
    """
    stream = read(StreamOptions, given)
    published: list[str] = []
    for spec in (output for output in stream.output_stream if "://" in output):
        if any(same_place(spec, other) for other in published):
            raise ConfigurationError(f"{redact(spec)} is named twice", option="output_stream")
        if same_place(spec, stream.input_stream):
            raise ConfigurationError(f"{redact(spec)} is named twice, by input_stream too", option="output_stream")
        published.append(spec)
    users = {Path(os.path.realpath(stream.input_stream)): "input_stream"}
    for name, path in (*files_written(given), *others):
        try:
            takes_one = path.is_file() or not path.exists()  # /dev/null takes any number
        except OSError as error:
            raise ConfigurationError(f"cannot write {path}: {error.strerror}", option=name) from error
        if takes_one:
            if path.resolve() in users:
                raise ConfigurationError(f"{path} is named twice, by {users[path.resolve()]} too", option=name)
            users[path.resolve()] = name


def video_files(stream: StreamOptions) -> list[str]:
    """The outputs that are files: no screen, and no address."""
    return [spec for spec in stream.output_stream if spec not in ("none", "screen") and "://" not in spec]
