"""Callbacks instead of a loop: at the start, for each result, at the end.

python examples/callbacks.py [VIDEO]
"""

import sys
from collections import Counter

from graph_server.assets import ensure_clip
from stream_client import Result, StreamClient, StreamInfo, Summary

counts: Counter[str] = Counter()


def started(info: StreamInfo) -> None:
    print(f"{info.width}x{info.height} at {float(info.frame_rate or 0):.0f} frames/s")


def labeled(result: Result) -> None:
    counts[result.label.name if result.label else "nobody"] += 1


def stopped(summary: Summary) -> None:
    print(summary.ledger.line())
    for name, count in counts.most_common():
        print(f"{name:20} {count} frames")


video = sys.argv[1] if len(sys.argv) > 1 else ensure_clip()
StreamClient(video, on_start=started, on_result=labeled, on_stop=stopped).run()
