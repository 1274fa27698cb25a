"""How far MediaPipe is from itself when its frames are changed by what nobody can see, and how far we are from it.

    python benchmarks/holistic_stability.py [CLIP or VIDEO …] [--seeds 1 2] [--rate 0.0001] [--frames N] [--json FILE]

MediaPipe 0.10.21's `solutions.holistic` (its own virtual environment, made at first use) against its own landmarks, a
share `--rate` of the bytes of every frame changed by one gray level; then ours against the same, the frames as they
are. Clips of ../shared (default: all) have golden landmarks; of a video file MediaPipe makes them first. The columns
are those of holistic_parity.py. Ratios are our presence over MediaPipe's own.
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from statistics import mean

import mediapipe_peer
import numpy as np
import numpy.typing as npt
from holistic_parity import found, size_of
from parity import CLIPS, SHARED, print_table

from graph_server.cli.landmarks import frames
from graph_server.holistic.parity import PARTS, Row, compared

Arrays = dict[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Clip:
    """A video and what MediaPipe finds in it: for each part [frames, points, columns], NaN where it is not found."""

    name: str
    video: Path
    golden: Arrays

    @property
    def count(self) -> int:
        return len(self.golden["pose"])


def mediapipe_landmarks(video: Path, count: int, seed: int = 0, rate: float = 0.0) -> Arrays:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "found.npz"
        command = [str(mediapipe_peer.python()), mediapipe_peer.__file__, "noise", str(video), str(file)]
        subprocess.run([*command, str(count), str(seed), str(rate)], check=True, stderr=subprocess.DEVNULL)
        with np.load(file) as arrays:
            return {part: arrays[part] for part in PARTS}


def opened(name: str, limit: int | None) -> Clip:
    if name in CLIPS and SHARED.is_dir():
        golden = np.load(SHARED / "golden" / f"{name}.npz")
        return Clip(name, SHARED / "clips" / CLIPS[name], {part: golden[part][:limit] for part in PARTS})
    video = Path(name)
    if not video.is_file():
        sys.exit(f"{name} is neither a video file nor a clip of {SHARED} ({', '.join(CLIPS)})")
    count = sum(1 for _ in islice(frames(video), limit))
    return Clip(video.stem, video, mediapipe_landmarks(video, count))


def changed(clip: Clip, seed: int, rate: float) -> list[dict[str, npt.NDArray[np.float32]]]:
    """What MediaPipe finds in each frame when a share ``rate`` of its bytes is changed."""
    arrays = mediapipe_landmarks(clip.video, clip.count, seed, rate)
    return [
        {part: arrays[part][index] for part in PARTS if not np.isnan(arrays[part][index, 0, 0])}
        for index in range(clip.count)
    ]


def apart(clip: Clip, landmarks: Sequence[Mapping[str, npt.NDArray[np.float32]]]) -> dict[str, Row]:
    """How far ``landmarks`` are from what MediaPipe finds in the frames as they are."""
    return compared(clip.golden, landmarks, size_of(clip.video))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="*", default=list(CLIPS), metavar="CLIP", help="a clip of ../shared or a video")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rate", type=float, default=0.0001)
    parser.add_argument("--frames", type=int, help="at most so many of each clip")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    clips = [opened(name, options.frames) for name in options.clips]
    peers = {}
    for seed in options.seeds:
        peers[seed] = {clip.name: apart(clip, changed(clip, seed, options.rate)) for clip in clips}
        print_table(f"seed {seed}", peers[seed], {})
    ours = {clip.name: apart(clip, found(clip.video, clip.count)) for clip in clips}
    print_table("ours", ours, {})
    ratios = {
        f"{clip}.{part}": row.presence / mean(peer[clip][part].presence for peer in peers.values())
        for clip, parts in ours.items()
        for part, row in parts.items()
    }
    if options.json:
        environment = {"python": platform.python_version(), "machine": platform.processor() or platform.machine()}
        report = {"ratios": ratios, "environment": environment, "rate": options.rate, "mediapipe": peers, "ours": ours}
        options.json.write_text(json.dumps(report, indent=2, default=asdict))


if __name__ == "__main__":
    main()
