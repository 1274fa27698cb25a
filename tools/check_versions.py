"""Run tests of the client with other versions: the lowest of its dependencies, and the oldest and the newest Python.

    python -m tools.check_versions           the three of them
    python -m tools.check_versions lowest    one of them: lowest, oldest or newest

Each has an environment of its own in .venvs. ``lowest`` is this Python with the lowest versions in pyproject.toml,
the other two take the highest. Fails if this machine has no other Python than this one.
"""

import argparse
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tools.interpreters import PYENV, ROOT, Version, interpreters, promised

UV = Path(sys.executable).parent / "uv"
EXTRAS = "bench,embedded,ffmpeg,parquet,screen,tracking"
TOOLS = ("hypothesis", "pytest", "pytest-timeout", "pytest-xdist")
TESTS = (
    *("transport", "sinks", "processing", "landmarks", "util/test_media.py", "monitoring/test_prometheus.py"),
    *("sources/test_sources.py", "sources/test_arrays.py", "sources/test_pixel_bound.py", "sources/test_timeline.py"),
    *("test_client.py", "test_odd_answers.py"),
)
"""Those that meet the libraries: what is pure Python behaves alike with each version."""
SHOWN = ("av", "grpcio", "numpy", "protobuf", "pillow")


@dataclass(frozen=True, slots=True)
class Combination:
    """A Python and the versions of its packages; ``resolution`` is uv's."""

    name: str
    version: Version
    python: Path
    resolution: str


def combinations() -> list[Combination]:
    """What is tried; ends the program where there is no other Python."""
    found = dict(interpreters())
    own: Version = (sys.version_info.major, sys.version_info.minor)
    others = sorted(found.keys() - {own})
    absent = [f"{major}.{minor}" for major, minor in promised() if (major, minor) not in found]
    pyenv = "" if PYENV.is_dir() else f"; there is no pyenv in {PYENV}"
    print(f"not on this machine: {', '.join(absent) or 'none'}{pyenv}")
    if not others:
        sys.exit(f"no Python but {own[0]}.{own[1]} of those in pyproject.toml is here: install another one")
    chosen = [Combination("lowest", own, Path(sys.executable), "lowest-direct")]
    chosen += [Combination("oldest", others[0], found[others[0]], "highest")] if others[0] < own else []
    chosen += [Combination("newest", others[-1], found[others[-1]], "highest")] if others[-1] > own else []
    return chosen


def check(combination: Combination) -> str:
    """Install and test; what came out, in a line. Ends the program where a test fails."""
    environment = ROOT / ".venvs" / combination.name
    python = environment / "bin" / "python"
    install = (UV, "pip", "install", "--quiet", "--python", python)
    run(UV, "venv", "--quiet", "--clear", "--python", combination.python, environment)
    run(*install, "--resolution", combination.resolution, "--editable", f".[{EXTRAS}]")
    run(*install, *TOOLS)
    versions = dict(re.findall(r"(\S+)==(\S+)", run(UV, "pip", "freeze", "--python", python)))
    tests = [f"tests/client/{name}" for name in TESTS]
    said = run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "2", "--dist", "loadfile", *tests)
    shown = ", ".join(f"{name} {versions[name]}" for name in SHOWN)
    major, minor = combination.version
    return f"{combination.name}: Python {major}.{minor}, {shown}: {said.strip().splitlines()[-1]}"


def run(*command: str | Path) -> str:
    """The command's standard output; ends the program where it fails."""
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"failed with status {done.returncode}: {' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    # Before Python 3.12, argparse checks the empty list against choices.
    parser.add_argument("only", nargs="*", metavar="lowest|oldest|newest", help="not all of them")
    only = parser.parse_args().only
    if unknown := set(only) - {"lowest", "oldest", "newest"}:
        parser.error(f"no such combination: {', '.join(sorted(unknown))}")
    for combination in combinations():
        if not only or combination.name in only:
            print(check(combination), flush=True)


if __name__ == "__main__":
    main()
