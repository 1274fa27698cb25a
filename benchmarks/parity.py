"""The shared clips, and tables of how far landmarks are from MediaPipe's. Imported by benchmarks."""

import math
from collections.abc import Mapping
from pathlib import Path

from graph_server.holistic.parity import Allowed, Row

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
CLIPS = {"sign-again": "sign-again.mkv", "dance": "dance.webm", "walk": "walk.mp4"}
COLUMNS = ("clip", "part", "total", "both", "unlike", "median", "p95")
NOISE = Path(__file__).with_name("mediapipe_noise.csv")
SHORT = 60
"""The first frames of a clip: what the tests look at."""


def print_table(
    title: str, clips: Mapping[str, Mapping[str, Row]], limits: Mapping[str, Mapping[str, Allowed]]
) -> None:
    """A line for each part; ``limits`` by clip and part, in brackets; ``!`` marks what they do not admit."""
    print(f"{title:14}{'part':12}{'both':>5}{'presence %':>15}{'median %':>16}{'p95 %':>16}")
    for clip, parts in clips.items():
        for part, row in parts.items():
            limit = limits.get(clip, {}).get(part)
            least = None if limit is None else 100 * (1 - limit.unlike / row.total)
            median, p95 = (None, None) if limit is None else (limit.median, limit.p95)
            values = f"{row.presence:8.1f}{_bracket(least, 1)}"
            values += f"{row.median:9.3f}{_bracket(median, 3)}{row.p95:9.3f}{_bracket(p95, 3)}"
            excess = "" if limit is None or limit.admits(row) else "!"
            print(f"{clip:14}{part:12}{row.both:5}{values}{excess}".rstrip())


def _bracket(limit: float | None, digits: int) -> str:
    return f"{'' if limit is None or math.isinf(limit) else f' ({limit:.{digits}f})':8}"
