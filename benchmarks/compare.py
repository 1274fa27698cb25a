"""What a change did: this checkout against any commit, in turn, several times, with a confidence interval.

    python benchmarks/compare.py main [--only client holistic] [--size short] [--rounds 5] [--json FILE]

The commit is checked out in a worktree of its own, which is removed at the end. Both sides run this checkout's
benchmarks, without peers and with the installed dependencies: each round runs both, the first one alternately. A change
is the geometric mean over the rounds of after over before, with its interval of 95 % by Student's t on the
logarithms; `better` and `worse` are said where that interval leaves 1 out. Chance does that to one figure in twenty.
"""

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scipy.special import stdtrit
from suite import MEASUREMENTS, ROOT, SIZES, Failed, Measurement, run


@dataclass(frozen=True)
class Change:
    """After over before: the geometric mean, and the interval that has it with 95 %."""

    before: float
    after: float
    ratio: float
    low: float
    high: float

    def verdict(self, more: bool) -> str:
        """Whether it is better or worse, where ``more`` is better; nothing where chance may have done it."""
        if self.low <= 1 <= self.high:
            return ""
        return "better" if (self.ratio > 1) == more else "worse"


def change(before: Sequence[float], after: Sequence[float]) -> Change:
    """Of figures above 0, a pair for each round; at least two."""
    logarithms = [math.log(b / a) for a, b in zip(before, after, strict=True)]
    middle, count = statistics.mean(logarithms), len(logarithms)
    margin = float(stdtrit(count - 1, 0.975)) * statistics.stdev(logarithms) / math.sqrt(count)
    ends = (math.exp(middle + sign * margin) for sign in (-1, 1))
    return Change(statistics.median(before), statistics.median(after), math.exp(middle), *ends)


@contextmanager
def worktree(revision: str, root: Path = ROOT) -> Iterator[Path]:
    """A commit, checked out beside what this checkout has beside it, with this checkout's benchmarks.

    Raises :class:`ValueError` where there is no such commit.
    """
    git = ["git", "-C", str(root)]
    found = subprocess.run(
        [*git, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}"],
        capture_output=True,
        text=True,
        check=False,
    )
    if found.returncode:
        raise ValueError(f"{root} has no commit {revision!r}: name a branch, a tag or a hash of this repository")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "before"
        added = ["worktree", "add", "--quiet", "--detach", str(place), found.stdout.strip()]
        subprocess.run([*git, *added], check=True)
        try:
            for name, target in {".venvs": root / ".venvs", "../shared": root.parent / "shared"}.items():
                if target.exists():
                    (place / name).symlink_to(target.resolve())
            for script in (root / "benchmarks").glob("*.py"):
                (place / "benchmarks" / script.name).write_bytes(script.read_bytes())
            yield place
        finally:
            subprocess.run([*git, "worktree", "remove", "--force", str(place)], check=True)


def built(place: Path) -> Path:
    """The checkout, with the files in it that an installation makes. Raises :class:`ValueError` where that fails."""
    if (place / "pyproject.toml").exists():
        elsewhere = str(place.parent / "installed")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--editable", str(place)]
        done = subprocess.run([*command, "--target", elsewhere], capture_output=True, text=True, check=False)
        if done.returncode:
            raise ValueError(f"the commit cannot be built: {done.stderr.strip().splitlines()[-1]}")
    return place


def figures(measurement: Measurement, arguments: tuple[str, ...], root: Path) -> Mapping[str, float]:
    """Our own figures of one run, by name."""
    try:
        ours: Mapping[str, float] = run(measurement, (*arguments, *(measurement.ours or ())), root)["ours"]
    except Failed as error:
        raise Failed(f"{measurement.name}: {error}") from None
    return {name: value for name, value in ours.items() if value > 0}


def compare(
    measurement: Measurement, arguments: tuple[str, ...], places: tuple[Path, Path], rounds: int
) -> dict[str, Change]:
    """What became of each figure that both sides have in each round."""
    found: tuple[list[Mapping[str, float]], list[Mapping[str, float]]] = ([], [])
    for turn in range(rounds):
        for side in (0, 1) if turn % 2 == 0 else (1, 0):
            found[side].append(figures(measurement, arguments, places[side]))
        print(f"{measurement.name}: round {turn + 1} of {rounds}", file=sys.stderr, flush=True)
    names = [name for name in found[0][0] if all(name in figures for side in found for figures in side)]
    return {name: change(*([figures[name] for figures in side] for side in found)) for name in names}


def main() -> int:
    """Compare, print a table for each measurement."""
    comparable = {each.name: each for each in MEASUREMENTS if each.ours is not None}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("revision", help="the commit to compare with")
    parser.add_argument("--only", nargs="+", choices=comparable, default=["client", "holistic"])
    parser.add_argument("--size", choices=SIZES, default="short")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.rounds < 2:
        parser.error("--rounds: at least 2, since an interval comes from how rounds differ")
    lacking = [name for name in options.only if options.size not in comparable[name].arguments]
    if lacking:
        parser.error(f"--size {options.size} has no {', '.join(lacking)}: take --size full")
    report: dict[str, dict[str, Change]] = {}
    try:
        with worktree(options.revision) as place:
            places = (built(place), ROOT)
            for name in options.only:
                measurement = comparable[name]
                arguments = measurement.arguments[options.size]
                report[name] = compare(measurement, arguments, places, options.rounds)
                print(f"{name:40}{'before':>10}{'after':>10}{'ratio':>8}   95 % interval")
                for what, found in report[name].items():
                    values = f"{found.before:10.4g}{found.after:10.4g}{found.ratio:8.3f}"
                    verdict = found.verdict(more=what.endswith("per_second"))
                    print(f"  {what:38}{values}   {found.low:.3f} … {found.high:.3f}  {verdict}".rstrip(), flush=True)
    except (ValueError, Failed) as error:
        print(f"compare.py: error: {error}", file=sys.stderr)
        return 1
    if options.json:
        plain = {name: {what: vars(found) for what, found in rows.items()} for name, rows in report.items()}
        options.json.write_text(json.dumps({"revision": options.revision, "changes": plain}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
