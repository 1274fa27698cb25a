"""How many falls `--events fall` finds, and how often it is wrong, on what is at hand.

    python benchmarks/fall_detector.py [--rules FILE] [--frames_per_second 10]

There are no recordings of falls at hand. So falls are made: the frames of a person who dances, turned about the
person's hips by 90 degrees in a given time, to either side, from several moments of the clip; then the person stays
down for 3 s. The landmarks are those of the shipped networks on these frames. This shows what the rule and the networks
do with a body that tips over in the frame's plane before a plain background. It says nothing about falls towards the
camera, behind furniture, or in the dark.

A person who lies down slowly (4 s and more) should be no fall. False alarms are counted in every clip without a fall.
"""

import argparse
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path

import av
import numpy as np
from parity import SHARED
from PIL import Image as PillowImage

from stream_client import LandmarkFinder, Landmarks
from stream_client.events.machines import open_machine
from stream_client.events.read import read_rules
from stream_client.events.scene import Scene, Subject
from stream_client.frames import Image

Find = Callable[[Image], Landmarks | None]
"""Finds the landmarks of one frame after another."""
CLIPS = SHARED / "clips"
STANDS, LIES = 2.0, 3.0
STARTS = (0.0, 4.0)
"""Seconds of the clip at which a made sequence begins."""
FALLS, LIES_DOWN = (0.4, 0.7, 1.0, 1.5), (4.0, 6.0)
"""Seconds from upright to the floor."""


@dataclass(frozen=True, slots=True)
class Row:
    """Made sequences of one speed: how many there are, how many were found, and after how many seconds on the floor."""

    seconds: float
    made: int
    found: int
    after: list[float]


def read(path: Path, rate: float) -> Iterator[Image]:
    """The frames of a clip, ``rate`` a second."""
    with av.open(str(path)) as container:
        due = 0.0
        for frame in container.decode(video=0):
            if frame.time is not None and frame.time >= due - 1e-6:
                due += 1 / rate
                yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


def tipped(
    frames: Iterable[Image], hips: tuple[float, float], rate: float, seconds: float, side: int
) -> Iterator[Image]:
    """The frames, turned about the hips after :data:`STANDS` seconds; the hips sink to the floor meanwhile."""
    for index, image in enumerate(frames):
        share = min(1.0, max(0.0, (index / rate - STANDS) / seconds))
        gray = tuple(int(value) for value in image[:20].mean(axis=(0, 1)))
        sink = round(0.25 * image.shape[0] * share)
        turned = PillowImage.fromarray(image).rotate(
            -90 * side * share, PillowImage.Resampling.BILINEAR, center=hips, translate=(0, sink), fillcolor=gray
        )
        yield np.asarray(turned)


def forget(find: Find, image: Image) -> None:
    """Show nobody for a while, so that no region of the last sequence is followed."""
    for _ in range(5):
        find(np.full_like(image, 128))


def events(frames: Iterable[Image], find: Find, rate: float, rules: Path | str) -> list[float]:
    """When events begin, in seconds."""
    (rule,) = read_rules(rules)
    machine = open_machine(rule)
    found = []
    for index, image in enumerate(frames):
        time = round(index * 1e6 / rate)
        seen = find(image)
        people = [] if seen is None else [Subject("person", 1.0, (0, 0, 1, 1), (0.5, 1.0), 0, landmarks=seen)]
        scene = Scene(time, None, tuple(people), {})
        found += [event.begin / 1e6 for event in machine.update(scene) if event.phase == "begin"]
    return found


def hips_of(landmarks: Landmarks, image: Image) -> tuple[float, float]:
    """The middle of the hips in pixels."""
    x, y = landmarks.pose[[23, 24], :2].mean(axis=0)
    return float(x * image.shape[1]), float(y * image.shape[0])


def made(find: Find, seconds: float, rate: float, rules: Path | str) -> Row:
    """Falls of this speed, from each start, to each side."""
    found: list[float] = []
    whole = list(read(CLIPS / "dance.webm", rate))
    for begin in STARTS:
        for side in (-1, 1):
            frames = list(islice(whole * 3, round(begin * rate), round((begin + STANDS + seconds + LIES) * rate)))
            forget(find, frames[0])
            seen = find(frames[round(STANDS * rate)])
            assert seen is not None
            hips = hips_of(seen, frames[0])
            forget(find, frames[0])
            found += events(tipped(frames, hips, rate, seconds, side), find, rate, rules)[:1]
    after = [round(each - STANDS - seconds, 2) for each in found]
    return Row(seconds, 2 * len(STARTS), len(found), after)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rules", default="fall", help="the rules; the first one is used")
    parser.add_argument("--frames_per_second", type=float, default=10.0)
    parser.add_argument("--out", type=Path, help="JSON with the figures")
    flags = parser.parse_args()
    rate = flags.frames_per_second
    ticks = count(1, round(1e6 / rate))
    with LandmarkFinder() as finder:

        def find(image: Image) -> Landmarks | None:
            return finder.find(image, next(ticks))

        rows = [made(find, seconds, rate, flags.rules) for seconds in (*FALLS, *LIES_DOWN)]
        print("| seconds to the floor | made | found | seconds after that, median |\n|---|---|---|---|")
        for row in rows:
            print(
                f"| {row.seconds} | {row.made} | {row.found} | {np.median(row.after) if row.after else '-'} |",
                flush=True,
            )
        print("\n| clip without a fall | seconds | false alarms |\n|---|---|---|")
        alarms = {}
        for path in sorted(each for each in CLIPS.iterdir() if each.suffix != ".json"):
            slower = min(rate, 10.0) if path.stem == "walk" else rate
            frames = list(read(path, slower))
            forget(find, frames[0])
            alarms[path.name] = events(frames, find, slower, flags.rules)
            print(f"| {path.name} | {len(frames) / slower:.0f} | {len(alarms[path.name])} |", flush=True)
    if flags.out is not None:
        falls = [{"seconds": r.seconds, "made": r.made, "found": r.found, "after": r.after} for r in rows]
        flags.out.write_text(json.dumps({"falls": falls, "false_alarms": alarms}, indent=1))


if __name__ == "__main__":
    main()
