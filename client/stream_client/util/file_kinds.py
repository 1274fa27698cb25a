"""The kinds of files, by their extension."""

import posixpath
from pathlib import Path

VIDEO = frozenset(
    {".mp4", ".mkv", ".webm", ".avi", ".mov", ".m4v", ".ts", ".m2ts", ".mpg", ".mpeg", ".flv", ".wmv", ".3gp"}
)
PHOTO = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".avif"})
ANIMATION = frozenset({".gif"})
"""Read as videos where they are named, but in an archive of videos mostly something else."""
RECORDING = frozenset({".jsonl", ".parquet"})
"""Landmarks as a run writes them."""
ARCHIVE = frozenset({".zip"})


def is_video(name: str) -> bool:
    """Whether a file is a video, by its path or address."""
    return posixpath.splitext(name)[1].lower() in VIDEO


def is_photo(path: Path) -> bool:
    """Whether a file is a photo."""
    return path.suffix.lower() in PHOTO


def is_recording(path: Path) -> bool:
    """Whether a file has landmarks of ours, not the labels beside them."""
    return path.suffix.lower() in RECORDING and not path.stem.endswith(".labels")


def is_seen(path: Path) -> bool:
    """Whether a file is a video, a photo or landmarks."""
    return path.suffix.lower() in VIDEO | ANIMATION | PHOTO or is_recording(path)
