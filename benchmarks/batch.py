"""An archive by `batch` over one run after another, and how busy it keeps the processors.

    python -m benchmarks.batch [--clips 6] [--json FILE]

The archive is copies of the demo clip. Both ways find landmarks and labels, with an embedded server: `batch` starts one
for all, a run one of its own, as whoever types the commands would have it. The models are on disk and compiled before,
and so is Python's code, whatever ``PYTHONDONTWRITEBYTECODE`` says here.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from graph_server.assets import ensure_clip
from stream_client.benchmark.environment import environment


def one_by_one(clips: list[Path], out: Path, code: Path) -> None:
    """A run for each clip. ``code``: where compiled code is."""
    for clip in clips:
        outputs = ["--labels_output", str(out / f"{clip.stem}.jsonl")]
        outputs += ["--landmarks_output", str(out / f"{clip.stem}.parquet")]
        _run(code, "--input_stream", str(clip), *outputs, "--output_stream", "none")


def together(archive: Path, out: Path, code: Path) -> None:
    """One batch."""
    _run(code, "batch", str(archive), "--output", str(out), "--results", "labels", "--results", "landmarks")


def measured(way: str, work: Callable[[], None]) -> tuple[float, float]:
    """Seconds of ``work``, and the share of the processors that its processes used, 0…1."""
    before, begun = _used(), time.monotonic()
    work()
    seconds = time.monotonic() - begun
    used = _used() - before
    share = used / seconds / len(os.sched_getaffinity(0))
    print(f"{way}: {seconds:.1f} s, {share:.0%} of the processors, {used:.1f} s of their time", flush=True)
    return seconds, share


def _run(code: Path, *arguments: str) -> None:
    own = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    own["PYTHONPYCACHEPREFIX"] = str(code)
    subprocess.run([sys.executable, "-m", "stream_client", *arguments], env=own, check=True, capture_output=True)


def _used() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Measure both, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=6)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        archive, singly, code = Path(folder, "archive"), Path(folder, "singly"), Path(folder, "code")
        archive.mkdir()
        singly.mkdir()
        clips = [archive / f"clip{number}.mp4" for number in range(options.clips)]
        for clip in clips:
            shutil.copy(ensure_clip(), clip)
        one_by_one(clips[:1], singly, code)  # warm
        apart, _ = measured("one run after another", partial(one_by_one, clips, singly, code))
        at_once, busy = measured("batch", partial(together, archive, Path(folder, "batch"), code))
    ratios = {"batch_speed": apart / at_once}
    print(f"batch_speed: {ratios['batch_speed']:.2f}")
    if options.json:
        document = {"ratios": ratios, "environment": environment(), "busy": busy}
        options.json.write_text(json.dumps(document, indent=2))


if __name__ == "__main__":
    main()
