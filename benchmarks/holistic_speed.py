"""Holistic inference: frames per second of our graph runtime and of MediaPipe 0.10.21, on the same decoded frames.

    python benchmarks/holistic_speed.py [--rounds 5] [--frames 150] [--fast] [--precision bf16-but-pose]
        [--clients ours] [--json FILE]

Both run in alternation, MediaPipe (`solutions.holistic`, its own virtual environment, made at first use) in a child
process that is idle meanwhile. Ours keeps memory as each of its programs does. A ratio is the median over the rounds
of ours over MediaPipe's in the same round.
`--fast` measures the graph that seeks hands and face more rarely, and prints its parity beside it. `--precision` is how
the networks compute, as for holistic_parity.py: by default as shipped. `--clients ours` leaves MediaPipe out.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import islice
from pathlib import Path
from statistics import median

import mediapipe_peer
import numpy as np
import numpy.typing as npt
from client_bench import report_ratios
from holistic_parity import PRECISIONS, measure, models_in
from parity import CLIPS, SHARED, print_table

from graph_server.cli.landmarks import FRAME_PERIOD, LandmarkExtractor, frames
from graph_server.holistic.frame_skipping import EVERY_FRAME, FAST, FrameSkipping
from kserve_wire.malloc import keep_frame_memory

CLIPS_HERE = ("sign-again", "dance")
Images = list[npt.NDArray[np.uint8]]


class Ours:
    """Our graph runtime, warm."""

    def __init__(self, images: Images, skipping: FrameSkipping, precision: str) -> None:
        self._images = images
        self._skipping = skipping
        self._models = models_in(precision)
        self.seconds(images[:5])

    def seconds(self, images: Images | None = None) -> float:
        """The time for all frames, the making of the graph left out."""
        extractor = LandmarkExtractor(self._models, skipping=self._skipping)
        begun = time.perf_counter()
        for index, image in enumerate(images or self._images):
            extractor.process(image, (index + 1) * FRAME_PERIOD)
        extractor.finish()
        return time.perf_counter() - begun


@contextmanager
def mediapipe_process(images: Images) -> Iterator["subprocess.Popen[str]"]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "frames.npy"
        np.save(file, np.stack(images))
        process = subprocess.Popen(
            [str(mediapipe_peer.python()), str(Path(mediapipe_peer.__file__)), "speed", str(file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            if process.stdout.readline().strip() != "ready":
                sys.exit("MediaPipe did not start")
            yield process
        finally:
            process.stdin.close()
            process.wait()
            process.stdout.close()


def compare(clip: str, options: argparse.Namespace) -> dict[str, list[float]]:
    images = list(islice(frames(SHARED / "clips" / CLIPS[clip]), options.frames))
    rates: dict[str, list[float]] = {"ours": [], "mediapipe": [], "ours cpu ms": [], "mediapipe cpu ms": []}
    ours = Ours(images, options.fast, options.precision)
    with mediapipe_process(images) if "peer" in options.clients else nullcontext() as process:
        for _ in range(options.rounds):
            used = time.process_time()
            rates["ours"].append(len(images) / ours.seconds())
            rates["ours cpu ms"].append((time.process_time() - used) * 1000 / len(images))
            if process is None:
                continue
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("run\n")
            process.stdin.flush()
            wall, used = (float(text) for text in process.stdout.readline().split())
            rates["mediapipe"].append(len(images) / wall)
            rates["mediapipe cpu ms"].append(used * 1000 / len(images))
    return rates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--frames", type=int, default=150, help="at most so many of each clip")
    parser.add_argument("--fast", action="store_const", const=FAST, default=EVERY_FRAME)
    parser.add_argument("--precision", choices=PRECISIONS, default="shipped")
    parser.add_argument("--clients", choices=("ours", "peer"), nargs="+", default=["ours", "peer"])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if not SHARED.is_dir():
        sys.exit(f"{SHARED} is not here: the clips are needed")
    keep_frame_memory()
    results, ratios = {}, dict[str, float]()
    ours = dict[str, float]()
    print(f"{options.precision:14}{'frames/s':>19}{'':7}{'CPU ms/frame':>21}")
    print(f"{'clip':12}{'ours':>10}{'MediaPipe':>11}{'ratio':>7}{'ours':>10}{'MediaPipe':>11}   ratios of the rounds")
    for clip in CLIPS_HERE:
        rates = results[clip] = compare(clip, options)
        ours[f"{clip}, frames_per_second"] = median(rates["ours"])
        ours[f"{clip}, CPU ms a frame"] = median(rates["ours cpu ms"])
        if not rates["mediapipe"]:
            print(f"{clip:12}{ours[f'{clip}, frames_per_second']:10.1f}{ours[f'{clip}, CPU ms a frame']:28.1f}")
            continue
        each = [a / b for a, b in zip(rates["ours"], rates["mediapipe"], strict=True)]
        ratios[clip.replace("-", "_")] = median(each)
        fps = f"{median(rates['ours']):10.1f}{median(rates['mediapipe']):11.1f}{median(each):7.2f}"
        fps += f"{median(rates['ours cpu ms']):10.1f}{median(rates['mediapipe cpu ms']):11.1f}"
        print(f"{clip:12}{fps}   {' '.join(f'{ratio:.2f}' for ratio in each)}")
    parity = {}
    if options.fast is FAST and "peer" in options.clients:
        parity = {clip: measure(clip, FAST, models_in(options.precision)) for clip in CLIPS_HERE}
        print_table("fast", parity, {})
    report_ratios(ratios, options.json, ours=ours, precision=options.precision, rates=results, parity=parity)


if __name__ == "__main__":
    main()
