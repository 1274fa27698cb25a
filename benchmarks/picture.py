"""The picture of the README: the ratios of one run of the bench.

    python benchmarks/picture.py [--size full] [--history FILE] [--out docs/images/benchmarks.svg]

It draws the last run of that size in history.jsonl, by default the largest that is there. A bar says how many times
better ours is: more frames, or less of what is better when there is less of it. The mark on it is the goal.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from history import HISTORY, Run, lines_of, read
from suite import ROOT, SIZES

PICTURE = ROOT / "docs" / "images" / "benchmarks.svg"
_BETTER, _MISSED = "#2a78b8", "#8fb3d0"


def chosen(runs: Sequence[Run], size: str | None) -> Run:
    """The last run of a size, or of the largest there is; raises :class:`ValueError` where there is none."""
    for wanted in (size,) if size else reversed(SIZES):
        for run in reversed(runs):
            if run.size == wanted:
                return run
    raise ValueError(f"there is no {size or ''} run of the bench to draw: make bench first".replace("  ", " "))


def draw(run: Run, path: Path) -> None:
    """A bar for each ratio that is above 0; the file's bytes depend on nothing but the run."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    rows = [(item, ratio, value) for item, ratio, value in lines_of(run) if value > 0 and item.script not in _LIMITS]
    names = [f"{item.title}: {ratio.says}" for item, ratio, _ in rows]
    values = [value if ratio.more else 1 / value for _, ratio, value in rows]
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "bench", "font.family": "sans-serif"}):
        figure = Figure(figsize=(9, 1.5 + 0.26 * len(rows)), layout="constrained")
        axes = figure.add_subplot()
        met = [ratio.met(value) for _, ratio, value in rows]
        axes.barh(names, values, color=[_MISSED if each is False else _BETTER for each in met], height=0.7)
        for row, ((_, ratio, _), value) in enumerate(zip(rows, values, strict=True)):
            end = value
            if ratio.goal is not None:
                goal = ratio.goal if ratio.more else 1 / ratio.goal
                axes.plot([goal, goal], [row - 0.35, row + 0.35], color="black", linewidth=1.2)
                end = max(goal, value)
            axes.annotate(f"{value:.3g}", (end, row), (3, 0), textcoords="offset points", va="center", fontsize=8)
        axes.set_xscale("log")
        axes.set_xlim(min([*values, 0.9]), 2 * max([*values, 1.0]))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.axvline(1, color="gray", linewidth=0.8)
        axes.invert_yaxis()
        axes.tick_params(labelsize=8)
        axes.set_xlabel("times better than the peer in the same run; | is the goal, pale is below it", fontsize=8)
        machine = run.machine
        kind = "bfloat16" if any("bf16" in name for name in machine["features"]) else "no bfloat16"
        title = f"{machine['cpu']}, {machine['cores']} cores, {kind}; commit {run.commit[:7]}, {run.time[:10]}"
        others = f"; others took {run.others:.0%} of the processors" if run.others >= _NOTICEABLE else ""
        figure.suptitle(title + others, fontsize=9)
        figure.savefig(path, format="svg", metadata={"Date": None})
    # Matplotlib leaves spaces at the ends of lines.
    path.write_text("\n".join(line.rstrip() for line in path.read_text("utf-8").splitlines()) + "\n", "utf-8")


_LIMITS = ("holistic_parity", "server_footprint", "scale")
"""Their ratios are of a limit and not of a peer."""
_NOTICEABLE = 0.05


def main() -> int:
    """Read, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES)
    parser.add_argument("--history", type=Path, default=HISTORY)
    parser.add_argument("--out", type=Path, default=PICTURE)
    options = parser.parse_args()
    try:
        draw(chosen(read(options.history), options.size), options.out)
    except (OSError, ValueError) as error:
        print(f"picture.py: error: {error}", file=sys.stderr)
        return 1
    print(options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
