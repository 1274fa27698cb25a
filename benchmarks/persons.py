"""The cost of several persons: 1, 2 and 4 of them in graph holisticPersons, and one in holisticTracking.

    python benchmarks/persons.py --clip FILE [--frames 60] [--rounds 3] [--json FILE]

The clip shows one person. It is put beside itself, so that the networks have the same work for each person. Frames a
second and CPU milliseconds a frame are those of the networks in this process, without a server. The ratio for 2 and 4
persons is their frames times persons a second to the frames a second of one: 1 where the cost is linear.
"""

import argparse
import statistics
import time
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from client_bench import report_ratios

from graph_server.cli.landmarks import LandmarkExtractor, default_models, frames
from graph_server.holistic.persons import PersonsOptions, PersonsTracker
from graph_server.models.repository import ModelRepository

COUNTS = (1, 2, 4)
PERIOD = 40_000
WARM = 20
"""Frames before the measurement: every person has been found."""

Clip = list[npt.NDArray[Any]]


def crowd(clip: Clip, count: int) -> Clip:
    """Each frame beside itself, ``count`` times, every second one in a mirror."""
    return [
        np.ascontiguousarray(np.concatenate([image[:, :: 1 - 2 * (n % 2)] for n in range(count)], axis=1))
        for image in clip
    ]


def followed(models: ModelRepository, clip: Clip, most: int) -> tuple[float, float, float]:
    """Frames a second, CPU milliseconds a frame, and the mean number of persons."""
    tracker = PersonsTracker(models, PersonsOptions(most=most))
    seen = 0
    for index, image in enumerate(clip):
        if index == WARM:
            began, cpu = time.perf_counter(), time.process_time()
        persons = tracker.process(image, index * PERIOD)
        seen += len(persons) if index >= WARM else 0
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    tracker.close()
    count = len(clip) - WARM
    return count / seconds, 1000 * cpu / count, seen / count


def tracked(models: ModelRepository, clip: Clip) -> tuple[float, float, float]:
    """The same for the graph of one person."""
    extractor = LandmarkExtractor(models, kernel=7)
    for index, image in enumerate(clip[:WARM]):
        extractor.process(image, index * PERIOD)
    began, cpu = time.perf_counter(), time.process_time()
    for index, image in enumerate(clip[WARM:], WARM):
        extractor.process(image, index * PERIOD)
    extractor.finish()
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    count = len(clip) - WARM
    return count / seconds, 1000 * cpu / count, 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, required=True)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    models = default_models()
    clip = [cv2.resize(image, (480, 360)) for image in islice(frames(options.clip), options.frames)]
    found: dict[str, list[tuple[float, float, float]]] = {"holisticTracking": []}
    found |= {f"{count} persons": [] for count in COUNTS}
    for _ in range(options.rounds):
        found["holisticTracking"].append(tracked(models, clip))
        for count in COUNTS:
            found[f"{count} persons"].append(followed(models, crowd(clip, count), count))
    print(f"{'':18}frames/s  CPU ms a frame  persons seen")
    rates = {}
    for name, rounds in found.items():
        rate, cpu, seen = (statistics.median(values) for values in zip(*rounds, strict=True))
        rates[name] = rate
        print(f"{name:18}{rate:8.1f}{cpu:16.1f}{seen:14.2f}")
    ratios = {
        f"persons_{count}_linear": statistics.median(
            each[0] * each[2] / one[0] for each, one in zip(found[f"{count} persons"], found["1 persons"], strict=True)
        )
        for count in COUNTS[1:]
    }
    ratios["one_person_to_tracking"] = rates["1 persons"] / rates["holisticTracking"]
    report_ratios(ratios, options.json, frames_a_second=rates)


if __name__ == "__main__":
    main()
