"""Degenerate frames through every shipped graph: no crash, no lost session, an answer for each.

    python -m tests.degenerate_frames [--frames 1000] [--seed 1]

Frames of a person alternate with frames of one pixel, one row, one column, 10,000 by 10 pixels, more pixels in a row
than OpenCV takes, all black, all white, noise, gray, with alpha, and with the person cut, folded into a line or far too
large: so regions of one frame are looked at in another in which they make no sense. They go through one streaming
session; each kind goes through a unary call as well.

The exit status is 1 where a session ended early, a frame had no answer, or the server's log has a traceback.
"""

import argparse
import logging
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import grpc
import numpy as np
import numpy.typing as npt
from typing_extensions import override

from graph_server.assets import ensure_clip
from graph_server.cli.landmarks import frames
from kserve_wire.datatypes import join_elements
from kserve_wire.encoded import ENCODED_FRAME
from kserve_wire.messages import ModelInferRequest
from kserve_wire.names import TIMESTAMP
from kserve_wire.pictures.jpeg import encode_jpeg
from stream_client.landmarks.decoder import coordinate_image
from tests.conftest import ROOT
from tests.support.graph_server import graph_server_process, stamps, stream, unary

Frame = npt.NDArray[np.uint8]

NATIVE, PYTHON = (ROOT / "server_config" / name for name in ("config.json", "config_python.json"))
GRAPHS: dict[Path, tuple[str, ...]] = {
    NATIVE: (
        *("holisticClassifier", "holisticClassifierSparse", "holisticLandmarks", "holisticPersons"),
        *("holisticTracking", "holisticTrackingFast", "irisTracking", "passThrough"),
        *("holisticPose", "holisticEncoded"),
    ),
    PYTHON: ("holisticClassifier", "holisticPersons", "holisticEncoded"),
}
"""The shipped graphs, by configuration."""
NOBODY = "Unknown error during mediapipe execution"
"""How a unary call to holisticClassifierSparse fails where nobody is seen: one of its outputs has no packet."""
MOUNTS: dict[Path, tuple[str, ...]] = {PYTHON: ("--mount", f"graphs={ROOT / 'graphs'}")}
FRAME_PERIOD = 40_000
"""Microseconds between frames."""


def people_frames() -> Iterator[Frame]:
    """Frames of a person, 442 pixels wide: not a multiple of 16."""
    for frame in islice(frames(ensure_clip()), 90, None):
        yield np.asarray(cv2.resize(frame, (442, 442 * frame.shape[0] // frame.shape[1])), np.uint8)


def kinds(person: Frame, random: np.random.Generator) -> dict[str, Frame]:
    """Degenerate frames by name, uint8 [height, width, 1, 3 or 4]."""
    height, width = person.shape[:2]
    shapes = {
        "1x1": (1, 1), "1x50": (50, 1), "50x1": (1, 50), "2x2": (2, 2), "10000x10": (10, 10_000),
        "10x10000": (10_000, 10), "40000x1": (1, 40_000), "1x40000": (40_000, 1),
    }  # fmt: skip
    left, top = int(random.integers(0, width // 2)), int(random.integers(0, height // 2))
    return {
        **{name: random.integers(0, 256, (*shape, 3), np.uint8) for name, shape in shapes.items()},
        "black": np.zeros_like(person),
        "white": np.full_like(person, 255),
        "noise": random.integers(0, 256, person.shape, np.uint8),
        "gray": cv2.cvtColor(person, cv2.COLOR_RGB2GRAY)[..., None],
        "alpha": cv2.cvtColor(person, cv2.COLOR_RGB2RGBA),
        "cut": person[top : top + height // 2, left : left + width // 2],
        "folded": cv2.resize(person, (width, 4)),
        "thin": cv2.resize(person, (4, height)),
        "tiny": cv2.resize(person, (16, 16)),
        "too large": cv2.resize(person[height // 3 : height // 2, width // 3 : width // 2], (width, height)),
        "upside down": np.ascontiguousarray(person[::-1]),
    }


def _rgb(frame: Frame) -> Frame:
    """All that a JPEG can hold of a frame."""
    return np.ascontiguousarray(frame[..., :3] if frame.shape[2] > 1 else np.repeat(frame, 3, axis=2))


def sequence(count: int, seed: int) -> Iterator[Frame]:
    """``count`` frames: of a person, and after each one or two a degenerate one, in random order."""
    random = np.random.default_rng(seed)
    people = list(islice(people_frames(), 40))
    names = list(kinds(people[0], random))
    left = count
    while left > 0:
        person = people[left % len(people)]
        some = [*[person] * int(random.integers(1, 3)), kinds(person, random)[str(random.choice(names))]]
        yield from some[:left]
        left -= len(some)


def request(config: Path, graph: str, frame: Frame, timestamp: int) -> ModelInferRequest:
    """A request for a shipped graph with all inputs that it takes."""
    made = ModelInferRequest(model_name=graph)
    made.parameters[TIMESTAMP].int64_param = timestamp
    inputs = {"image" if graph == "passThrough" else "first_input_video": frame}
    if graph in ("holisticLandmarks", "holisticPose"):
        inputs["coordinates"] = coordinate_image(frame.shape[1], frame.shape[0])
    if graph.startswith("holisticEncoded"):
        inputs = {}
        made.inputs.add(name=ENCODED_FRAME, datatype="BYTES", shape=[1])
        made.raw_input_contents.append(join_elements([encode_jpeg(_rgb(frame))]))
    for name, value in inputs.items():
        made.inputs.add(name=name, datatype="UINT8", shape=value.shape)
        made.raw_input_contents.append(value.tobytes())
    if config == PYTHON:
        made.inputs.add(name="frame_timestamp", datatype="INT64", shape=[1])
        made.raw_input_contents.append(np.array([timestamp], np.int64).tobytes())
    return made


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the frames of one graph."""

    sent: int
    answered: int
    """Frames of the session with an answer of their own that is no error."""
    ended: str
    """The session's status."""
    unary: int
    refused: Sequence[str]
    """Unary calls that failed, with their status."""

    @property
    def sound(self) -> bool:
        """Whether all is well."""
        return self.answered == self.sent and self.ended == "OK" and not self.refused


def outcome(address: str, config: Path, graph: str, count: int, seed: int) -> Outcome:
    """Send ``count`` frames through one session, each kind through a unary call."""
    requests = (
        request(config, graph, frame, (index + 1) * FRAME_PERIOD) for index, frame in enumerate(sequence(count, seed))
    )
    answers, code, _ = stream(address, *requests)
    person = next(people_frames())
    alone = {"person": person, **kinds(person, np.random.default_rng(seed))}
    refused = []
    for name, frame in alone.items():
        try:
            unary(address, request(config, graph, frame, FRAME_PERIOD), timeout=60)
        except grpc.RpcError as error:
            details = error.details() or ""
            if not (graph == "holisticClassifierSparse" and NOBODY in details):
                refused.append(f"{name}: {error.code().name} {details}")
    expected = {(index + 1) * FRAME_PERIOD for index in range(count)}
    return Outcome(count, len(expected & set(stamps(answers))), code.name, len(alone), refused)


class Tracebacks(logging.Handler):
    """Counts tracebacks and failures of native code in what the server logs."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    @override
    def emit(self, record: logging.LogRecord) -> None:
        """Keep the line, if it is the first of a traceback or tells of a signal."""
        text = record.getMessage()
        if "Traceback" in text or "Fatal Python error" in text:
            self.lines.append(text)


def main() -> int:
    """Run and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=1000, help="frames for each graph (default: 1000)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    tracebacks = Tracebacks()
    logging.basicConfig(level=logging.INFO, handlers=[tracebacks])
    sound = True
    print(f"{'configuration':22}{'graph':26}{'frames':>7}{'answered':>9}{'session':>9}{'unary':>7}{'refused':>8}")
    for config, graphs in GRAPHS.items():
        with graph_server_process("--config_path", str(config), *MOUNTS.get(config, ())) as server:
            for graph in graphs:
                found = outcome(server.address, config, graph, options.frames, options.seed)
                line = f"{config.name:22}{graph:26}{found.sent:7}{found.answered:9}{found.ended:>9}"
                print(f"{line}{found.unary:7}{len(found.refused):8}", flush=True)
                for text in found.refused:
                    print(f"  {text}")
                sound &= found.sound
    print(f"tracebacks in the server's log: {len(tracebacks.lines)}")
    return 0 if sound and not tracebacks.lines else 1


if __name__ == "__main__":
    sys.exit(main())
