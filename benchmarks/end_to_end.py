"""From file to file: our client with its embedded server, and a plain script with OpenCV and MediaPipe 0.10.21.

    python benchmarks/end_to_end.py [--rounds 3] [--clip dance] [--model_name holisticTracking]
        [--clients ours] [--json FILE]

Both read the same clip, find pose, hands and face, draw them and write a video; each is one command, run in
alternation, with its start. The plain script is `draw` in mediapipe_peer.py. The ratio `end_to_end` is the median over
the rounds of the script's time over ours in the same round. `first_frame` is how long our command takes to read, label
and write a single frame and to end, in seconds. `--clients ours` leaves the script out.

Both start as they do on a user's machine: Python's bytecode is there, and so are compiled networks. Each runs once for
that before the first round.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import av
import mediapipe_peer
from client_bench import ENVIRONMENT, report_ratios
from parity import CLIPS, SHARED

CLIENT = Path(__file__).resolve().parents[1] / "client" / "client.py"


def timed(command: list[str], output: Path, expected: int) -> tuple[float, float]:
    """Wall and processor seconds of a command that has to write ``expected`` frames to ``output``."""
    output.unlink(missing_ok=True)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.perf_counter()
    done = subprocess.run(
        command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False
    )
    wall = time.perf_counter() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    written = frame_count(output) if output.exists() else 0
    if done.returncode != 0 or written != expected:
        sys.exit(f"{' '.join(command)}: {written} of {expected} frames written\n{done.stderr[-2000:]}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def frame_count(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clip", choices=sorted(CLIPS), default="dance")
    parser.add_argument("--model_name", default="holisticTracking", help="our servable")
    parser.add_argument("--clients", choices=("ours", "peer"), nargs="+", default=["ours", "peer"])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if not SHARED.is_dir():
        sys.exit(f"{SHARED} is not here: the clips are needed")
    clip = SHARED / "clips" / CLIPS[options.clip]
    peer = []
    if "peer" in options.clients:
        peer = [str(mediapipe_peer.python()), str(Path(mediapipe_peer.__file__)), "draw", str(clip)]
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        ours_file, peer_file = Path(folder) / "ours.mp4", Path(folder) / "peer.mp4"
        ours = [sys.executable, str(CLIENT), "--input_stream", str(clip), "--output_stream", str(ours_file)]
        ours += ["--model_name", options.model_name]
        one_frame = [*ours, "--limit_frames", "1"]
        timed(one_frame, ours_file, 1)
        if peer:
            timed([*peer, str(peer_file), "1"], peer_file, 1)
        expected = frame_count(clip)
        print(f"{options.clip}, {expected} frames: seconds, processor seconds")
        for _ in range(options.rounds):
            first = timed(one_frame, ours_file, 1)
            mine = timed(ours, ours_file, expected)
            if not peer:
                rows.append({"ours": mine, "first": first})
                print(f"ours {mine[0]:6.1f} {mine[1]:6.1f}   one frame {first[0]:.2f} {first[1]:.2f}")
                continue
            theirs = timed([*peer, str(peer_file)], peer_file, expected)
            rows.append({"ours": mine, "first": first, "peer": theirs, "ratio": theirs[0] / mine[0]})
            print(
                f"ours {mine[0]:6.1f} {mine[1]:6.1f}   script {theirs[0]:6.1f} {theirs[1]:6.1f}   "
                f"ratio {theirs[0] / mine[0]:.2f}, of processor time {theirs[1] / mine[1]:.2f}   "
                f"one frame {first[0]:.2f} {first[1]:.2f}"
            )
    ratios = {"end_to_end": median(row["ratio"] for row in rows)} if peer else {}
    ratios["first_frame"] = median(row["first"][0] for row in rows)
    ours_of = {name: median(row["ours"][at] for row in rows) for at, name in enumerate(("seconds", "CPU seconds"))}
    report_ratios(ratios, options.json, ours=ours_of, rounds=rows)


if __name__ == "__main__":
    main()
