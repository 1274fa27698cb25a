"""The bench's runs, one line of JSON each, and the table of one."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from suite import MEASUREMENTS, Measurement, Ratio

HISTORY = Path(__file__).with_name("history.jsonl")


@dataclass(frozen=True)
class Run:
    """What one bench found. ``others`` and ``stolen`` are shares of the processors that it did not get, 0…1."""

    time: str
    commit: str
    changed: bool
    """Files differed from the commit."""
    size: str
    seconds: float
    others: float
    stolen: float
    machine: Mapping[str, Any]
    ratios: Mapping[str, Mapping[str, float]]
    """By measurement and key."""
    missing: Mapping[str, str]
    """Why a measurement has no ratios."""

    def on(self) -> tuple[object, ...]:
        """What has to be equal for two runs to be compared."""
        return self.size, self.machine["cpu"], self.machine["cores"], tuple(self.machine["features"])


def append(run: Run, path: Path) -> None:
    """Add a run as the last line."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(run)) + "\n")


def read(path: Path) -> list[Run]:
    """All runs, the oldest first; raises :class:`ValueError` with the line that is none."""
    runs = []
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    for number, line in enumerate(lines, 1):
        try:
            runs.append(Run(**json.loads(line)))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path}, line {number} is no run of the bench: remove it ({error})") from None
    return runs


def lines_of(run: Run) -> Iterator[tuple[Measurement, Ratio, float]]:
    """What a run found, in the table's order."""
    for measurement in MEASUREMENTS:
        found = run.ratios.get(measurement.name, {})
        for ratio in measurement.ratios:
            if ratio.key in found:
                yield measurement, ratio, found[ratio.key]


def heading(run: Run) -> list[str]:
    """Machine, processor features, versions, commit, and what else the machine did meanwhile."""
    versions = ", ".join(f"{name} {text}" for name, text in run.machine["versions"].items())
    disturbed = f"others took {run.others:.0%} of the processors, the host {run.stolen:.0%}"
    changes = ", with changes" if run.changed else ""
    return [
        f"{run.machine['cpu']}, {run.machine['cores']} cores: {' '.join(run.machine['features']) or 'no AVX2'}",
        f"{run.machine['system']}; {versions}",
        f"commit {run.commit or 'unknown'}{changes}; {run.size}, {run.time}, {run.seconds:.0f} s; {disturbed}",
    ]


def table(run: Run, earlier: Sequence[Run]) -> list[str]:
    """Its ratios beside their goals and those of the last run of this size on such a machine."""
    before = next((each for each in reversed(earlier) if each.on() == run.on()), None)
    known = {(item.name, ratio.key): value for item, ratio, value in lines_of(before)} if before else {}
    rows, title = [f"{'':46}{'precision':>14}{'ratio':>8}{'goal':>8}{'':5}{'before':>8}"], ""
    for measurement, ratio, value in lines_of(run):
        if measurement.title != title:
            title = measurement.title
            rows.append(f"{title}; over {measurement.peer}")
        sign = "≥" if ratio.more else "≤"
        goal = "" if ratio.goal is None else f"{sign} {ratio.goal:g}"
        met = {True: "", False: " no", None: ""}[ratio.met(value)]
        last = known.get((measurement.name, ratio.key))
        then = "" if last is None else f"{last:.3g}"
        rows.append(f"  {ratio.says:44}{measurement.precision:>14}{value:8.3g}{goal:>8}{met:5}{then:>8}".rstrip())
    rows += [f"{name} was not measured: {why}" for name, why in run.missing.items()]
    return rows
