"""A sink of your own: labels as CSV, a line a frame.

python examples/labels_to_csv.py [VIDEO] [--out demo-output/labels.csv]
"""

import argparse
import csv
from pathlib import Path
from typing import TextIO

from graph_server.assets import ensure_clip
from stream_client import Result, StreamClient, StreamInfo


class CsvSink:
    """Writes time, label and score. ``open``, ``write`` and ``close`` are all that a sink needs, and a name."""

    name = "csv"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: TextIO | None = None

    def open(self, info: StreamInfo) -> None:
        self._file = self._path.open("w", newline="", encoding="utf-8")
        csv.writer(self._file).writerow(("time", "label", "score"))

    def write(self, result: Result) -> bool:
        assert self._file is not None
        label = result.label
        row = (f"{result.time:.3f}", label.name if label else "", f"{label.score:.3f}" if label else "")
        csv.writer(self._file).writerow(row)
        return True  # False would end the run

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("video", nargs="?", type=Path)
parser.add_argument("--out", type=Path, default=Path("demo-output/labels.csv"))
options = parser.parse_args()
options.out.parent.mkdir(parents=True, exist_ok=True)
summary = StreamClient(options.video or ensure_clip(), CsvSink(options.out)).run()
print(f"{options.out}: {summary.ledger.delivered} lines")
