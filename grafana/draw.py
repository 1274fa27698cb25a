"""Draw a dashboard where no Grafana can run: its own queries, a real Prometheus, matplotlib.

    python grafana/draw.py http://localhost:9090 docs/images/client-dashboard.png [--dashboard client] [--minutes 2]

Panels stand where the dashboard puts them; colors and details are matplotlib's.
"""

import argparse
import json
import math
import re
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

FOLDER = Path(__file__).parent / "dashboards"
RATE_INTERVAL = "10s"
STATES = {0: ("ended", "#555555"), 1: ("lost", "#e02f44"), 2: ("connecting", "#e0b400"), 3: ("live", "#56a64b")}


class Data:
    """What Prometheus knows of the last ``seconds``, one point a second."""

    def __init__(self, url: str, seconds: float) -> None:
        self._url = url
        self.end = time.time()
        self.start = self.end - seconds

    def series(self, target: dict[str, Any]) -> list[tuple[str, Any, Any]]:
        """Name, seconds since the start, and values of each series of a target."""
        expression = re.sub(r"\$(?!__)\w+", ".*", target["expr"].replace("$__rate_interval", RATE_INTERVAL))
        arguments = {"query": expression, "start": self.start, "end": self.end, "step": 1}
        url = f"{self._url}/api/v1/query_range?{urllib.parse.urlencode(arguments)}"
        with urllib.request.urlopen(url, timeout=30) as response:
            found = json.load(response)["data"]["result"]
        return [
            (
                named(target["legendFormat"], each["metric"]),
                np.array([at - self.start for at, _ in each["values"]]),
                np.array([float(value) for _, value in each["values"]]),
            )
            for each in found
            if any(value != "NaN" for _, value in each["values"])
        ]


def named(legend: str, labels: dict[str, str]) -> str:
    """A legend's text with its labels filled in."""
    return re.sub(r"\{\{(\w+)\}\}", lambda key: labels.get(key[1], ""), legend).strip()


def text(value: float, unit: str | None) -> str:
    """A number in the unit, as Grafana writes it."""
    if unit == "percentunit":
        return f"{value:.1%}"
    if unit == "s":
        return f"{1000 * value:.0f} ms" if value < 1 else f"{value:.2f} s"
    if unit == "Bps":
        return f"{value / 1e6:.3g} MB/s"
    if unit == "bytes":
        return f"{value / 2**20:.0f} MiB"
    return f"{value:.3g}" + (" fps" if unit == "hertz" else "")


def formatter(unit: str | None) -> Callable[[float, float], str]:
    """For the marks of an axis in the unit."""
    return lambda value, position: text(value, unit)


def draw_stat(axes: Axes, panel: dict[str, Any], data: Data) -> None:
    """The last value, large."""
    axes.axis("off")
    last = [values[-1] for target in panel["targets"] for _, _, values in data.series(target)]
    defaults = panel["fieldConfig"]["defaults"]
    color = "#73bf69"
    shown = "no data"
    if last and "mappings" in defaults:
        shown, color = STATES[int(last[0])]
    elif last:
        shown = text(last[0], defaults.get("unit"))
        steps = defaults.get("thresholds", {}).get("steps", [])
        color = "#e02f44" if any(s["value"] is not None and last[0] >= s["value"] for s in steps) else color
    axes.text(0.5, 0.4, shown, ha="center", va="center", fontsize=17, color=color, transform=axes.transAxes)


def draw_lines(axes: Axes, panel: dict[str, Any], data: Data) -> None:
    """Lines, or stacked areas and bars."""
    defaults = panel["fieldConfig"]["defaults"]
    custom = defaults["custom"]
    series = [one for target in panel["targets"] for one in data.series(target)]
    if "stacking" in custom:
        grid = np.arange(0, math.ceil(data.end - data.start))
        filled = []
        for _, at, values in series:
            row = np.zeros(len(grid))
            row[np.clip(np.rint(at).astype(int), 0, len(grid) - 1)] = np.nan_to_num(values)
            filled.append(row)
        if filled:
            axes.stackplot(
                grid,
                filled,
                labels=[name for name, _, _ in series],
                step="post" if custom["drawStyle"] == "bars" else None,
            )
    else:
        apart = {each["matcher"]["options"]: each for each in panel["fieldConfig"]["overrides"]}
        right = axes.twinx() if apart else axes
        for number, (name, at, values) in enumerate(series):
            style = "steps-post" if custom.get("lineInterpolation") == "stepAfter" else "default"
            if name in apart:
                axes.plot([], [], label=name, color=f"C{number}")
            (right if name in apart else axes).plot(at, values, drawstyle=style, label=name, color=f"C{number}")
        for each in apart.values():
            right.yaxis.set_major_formatter(formatter(each["properties"][0]["value"]))
            right.tick_params(labelsize=6)
            right.set_ylim(bottom=0)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(formatter(defaults.get("unit")))
    if 0 < len(series) <= 14:
        axes.legend(fontsize=6, loc="upper left", ncols=2 if len(series) > 4 else 1, framealpha=0.6)


def draw_heat(axes: Axes, panel: dict[str, Any], data: Data) -> None:
    """Buckets over time; Prometheus's buckets hold the smaller ones too, so neighbors are subtracted."""
    series = sorted(data.series(panel["targets"][0]), key=lambda one: float(one[0]))
    grid = np.zeros((len(series), math.ceil(data.end - data.start)))
    for row, (_, at, values) in enumerate(series):
        grid[row, np.clip(np.rint(at).astype(int), 0, grid.shape[1] - 1)] = np.nan_to_num(values)
    counts = np.diff(grid, axis=0, prepend=0).clip(0)
    axes.pcolormesh(np.sqrt(counts), cmap="inferno")
    unit = panel["options"]["yAxis"]["unit"]
    names = [text(float(name) / (1e6 if unit == "µs" else 1), "s") if name != "+Inf" else "∞" for name, _, _ in series]
    axes.set_yticks(np.arange(len(names))[::3] + 0.5, names[::3])


def draw_states(axes: Axes, panel: dict[str, Any], data: Data) -> None:
    """A bar a connection, colored by its state."""
    series = data.series(panel["targets"][0])
    for row, (_, at, values) in enumerate(series):
        for moment, value in zip(at, values, strict=True):
            axes.broken_barh([(moment, 1.05)], (row - 0.35, 0.7), color=STATES[int(value)][1])
    axes.set_yticks(range(len(series)), [name for name, _, _ in series])
    for name, color in STATES.values():
        axes.plot([], [], color=color, linewidth=6, label=name)
    axes.legend(fontsize=6, ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.08), framealpha=0)


KINDS = {"stat": draw_stat, "timeseries": draw_lines, "heatmap": draw_heat, "state-timeline": draw_states}


def main() -> None:
    """Draw one dashboard."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prometheus", help="address of a Prometheus")
    parser.add_argument("picture", type=Path, help="file to write")
    parser.add_argument("--dashboard", default="client", choices=sorted(path.stem for path in FOLDER.glob("*.json")))
    parser.add_argument("--minutes", type=float, default=2.0)
    options = parser.parse_args()
    board = json.loads((FOLDER / f"{options.dashboard}.json").read_text())
    data = Data(options.prometheus, 60 * options.minutes)
    matplotlib.style.use("dark_background")
    mpl.rcParams.update({"axes.facecolor": "#181b1f", "axes.edgecolor": "#444444", "font.size": 7})
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in board["panels"])
    figure = Figure(figsize=(16, 0.33 * rows), facecolor="#111217")
    for panel in board["panels"]:
        place = panel["gridPos"]
        box = (
            (place["x"] + 0.9) / 24,
            1 - (place["y"] + place["h"] - 0.9) / rows,
            (place["w"] - 1.3 - bool(panel["fieldConfig"]["overrides"])) / 24,
            (place["h"] - 2.0) / rows,
        )
        axes = figure.add_axes(box)
        axes.set_title(panel["title"], loc="left", fontsize=9)
        KINDS[panel["type"]](axes, panel, data)
        if panel["type"] != "stat":
            axes.set_xlim(0, data.end - data.start)
            axes.xaxis.set_major_formatter(lambda value, _: time.strftime("%H:%M:%S", time.gmtime(data.start + value)))
            axes.tick_params(labelsize=6)
    figure.savefig(options.picture, dpi=90)


if __name__ == "__main__":
    main()
