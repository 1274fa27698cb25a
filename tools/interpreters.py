"""The Pythons of this machine that pyproject.toml promises."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYENV = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))

Version = tuple[int, int]


def promised() -> list[Version]:
    """The versions in pyproject.toml's classifiers."""
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    found = re.findall(r'"Programming Language :: Python :: (\d+)\.(\d+)"', text)
    return [(int(major), int(minor)) for major, minor in found]


def interpreters() -> Iterator[tuple[Version, Path]]:
    """Every Python on the PATH or below pyenv's folder that works and is promised, in the order of versions."""
    for version in promised():
        name = f"python{version[0]}.{version[1]}"
        on_path = shutil.which(name)
        candidates = [] if on_path is None else [Path(on_path)]
        candidates += sorted(PYENV.glob(f"versions/{version[0]}.{version[1]}.*/bin/python"))
        for candidate in candidates:
            said = subprocess.run([candidate, "--version"], capture_output=True, text=True, check=False).stdout
            if said.startswith(f"Python {version[0]}.{version[1]}."):
                yield version, candidate
                break
