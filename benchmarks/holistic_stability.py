"""How far MediaPipe is from itself when its pictures are changed by what nobody can see, and how far we are from it.

    python benchmarks/holistic_stability.py [--clips walk] [--seeds 1 2] [--rate 0.0001] [--json FILE]

MediaPipe 0.10.21's `solutions.holistic` (its own virtual environment, made at first use) against its own golden
landmarks, a share `--rate` of the bytes of every picture changed by one grey level; then ours against the same, the
pictures as they are. The columns are those of holistic_parity.py. Ratios are our presence over MediaPipe's own.
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import mean

import av
import mediapipe_peer
import numpy as np
from holistic_parity import BOUNDS, CLIPS, SHARED, compared, measure, print_table


def changed(clip: str, seed: int, rate: float) -> dict[str, dict[str, float]]:
    """MediaPipe on changed pictures against its golden landmarks."""
    video = SHARED / "clips" / CLIPS[clip]
    golden = np.load(SHARED / "golden" / f"{clip}.npz")
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        size = np.array([stream.width, stream.height])
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "found.npz"
        command = [str(mediapipe_peer.python()), mediapipe_peer.__file__, "noise", str(video), str(file)]
        subprocess.run(
            [*command, str(len(golden["pose"])), str(seed), str(rate)], check=True, stderr=subprocess.DEVNULL
        )
        with np.load(file) as arrays:
            found = {part: arrays[part] for part in BOUNDS}
    frames = [
        {part: found[part][index] for part in BOUNDS if not np.isnan(found[part][index, 0, 0])}
        for index in range(len(found["pose"]))
    ]
    return compared(golden, frames, size)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", nargs="+", choices=tuple(CLIPS), default=list(CLIPS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rate", type=float, default=0.0001)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if not SHARED.is_dir():
        sys.exit(f"{SHARED} is not here: the golden landmarks are needed")
    peers = {}
    for seed in options.seeds:
        print(f"MediaPipe, one byte in {1 / options.rate:.0f} changed, seed {seed}" if options.rate else "MediaPipe")
        peers[seed] = {clip: changed(clip, seed, options.rate) for clip in options.clips}
        print_table(peers[seed])
    print("ours")
    ours = {clip: measure(clip) for clip in options.clips}
    print_table(ours)
    ratios = {
        f"{clip}.{part}": row["presence"] / mean(peer[clip][part]["presence"] for peer in peers.values())
        for clip, parts in ours.items()
        for part, row in parts.items()
    }
    if options.json:
        environment = {"python": platform.python_version(), "machine": platform.processor() or platform.machine()}
        found = {"ratios": ratios, "environment": environment, "rate": options.rate, "mediapipe": peers, "ours": ours}
        options.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
