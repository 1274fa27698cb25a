"""Several sinks at once: an annotated video, labels as JSON Lines, and a function.

Each has a thread and a short queue of its own. The run goes at the pace of the slowest.

    python examples/several_sinks.py [VIDEO] [--folder FOLDER]
"""

import argparse
from pathlib import Path

from graph_server.assets import ensure_clip
from stream_client import LabelChangesSink, LabelsSink, Result, SinkLike, SinkOptions, StreamClient, open_sink

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("video", nargs="?", type=Path)
parser.add_argument("--folder", type=Path, default=Path())
options = parser.parse_args()
longest: list[float] = [0.0]


def watch(result: Result) -> None:
    longest[0] = max(longest[0], result.latency)


sinks: list[SinkLike] = [
    open_sink(str(options.folder / "annotated.mp4"), SinkOptions(quality=25)),
    LabelsSink(options.folder / "labels.jsonl"),
    LabelChangesSink(options.folder / "changes.jsonl"),
    watch,
]
summary = StreamClient(options.video or ensure_clip(), sinks).run()
print(f"{summary.ledger.delivered} frames, at most {1000 * longest[0]:.0f} ms each")
