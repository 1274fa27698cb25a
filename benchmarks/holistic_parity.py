"""How far our landmarks are from MediaPipe's, on the shared clips.

    python benchmarks/holistic_parity.py [--precision shipped f32 bf16-but-pose bf16] [--clips dance] [--frames 60]
        [--fast]

For each part: the frames in which both have it; `presence` is in how many percent of frames both have it or neither
has; and over frames where both have it, the median distance of its points in percent of the frame's diagonal: the
median and the 95th percentile over frames. In brackets is what is allowed (README.md); `!` marks what is not.

A precision is how the networks compute: `shipped` as in the shipped configuration, in which a part of the hands'
network is bfloat16 where the processor has it; `f32` is float32 for all; `bf16-but-pose` is bfloat16 for hands and
face, float32 for the pose; `bf16` is bfloat16 for all, OpenVINO's default on processors that have it.
ONEDNN_MAX_CPU_ISA (AVX, AVX2, AVX512_CORE …) in the environment makes oneDNN choose the kernels of an older processor
for convolutions and pooling; kernels of OpenVINO's own, such as resizing, stay those of this processor.
`--fast` looks at hands as holisticTrackingFast does. Then 5 % of the frames may differ in who has a hand or face, and
distances are only shown.
The exit status is 1 when `shipped` or `f32` differs by more than what is allowed. Ratios, of the first of these, are
our median over the bound of the project: 0.2 % for pose, 0.6 % for hands and face.
"""

import argparse
import json
import math
import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
from parity import CLIPS, NOISE, SHARED, SHORT, print_table

from graph_server.assets import ensure_models, shipped_mounts
from graph_server.cli.landmarks import FRAME_PERIOD, LandmarkExtractor, frames
from graph_server.config.server_config import read_config
from graph_server.holistic.frame_skipping import EVERY_FRAME, FAST, FrameSkipping
from graph_server.holistic.parity import BOUNDS, Allowed, Row, allowed, compared
from graph_server.models.repository import ModelRepository
from graph_server.models.runtime import Runtime
from graph_server.resources import cache_folder, project_file
from kserve_wire.openvino_core import new_core

_BUT_POSE = frozenset({"hand_landmark_full", "hand_recrop", "face_detection", "face_landmark"})
PRECISIONS = {
    "shipped": frozenset[str](),
    "f32": frozenset[str](),
    "bf16-but-pose": _BUT_POSE,
    "bf16": _BUT_POSE | {"pose_detection", "pose_landmark_full"},
}
"""The networks that compute in bfloat16."""


def models_in(precision: str) -> ModelRepository:
    """The project's models; those that :data:`PRECISIONS` names compute in bfloat16."""
    path = project_file("server_config/config.json")
    config = read_config(path, shipped_mounts(path, ensure_models()))
    models = config.models
    if precision != "shipped":
        asked = {each.name: "bf16" if each.name in PRECISIONS[precision] else "f32" for each in models}
        models = tuple(
            replace(each, plugin_config={
                **each.plugin_config, "INFERENCE_PRECISION_HINT": asked[each.name], "EXECUTION_MODE_HINT": "ACCURACY",
            })
            for each in models
        )  # fmt: skip
    return ModelRepository(Runtime(cache_folder() / "openvino"), models)


def measure(
    clip: str, skipping: FrameSkipping = EVERY_FRAME, models: ModelRepository | None = None, most: int | None = None
) -> dict[str, Row]:
    """Our landmarks of at most ``most`` frames against the golden ones, by part."""
    golden = np.load(SHARED / "golden" / f"{clip}.npz")
    video = SHARED / "clips" / CLIPS[clip]
    ours = found(video, most or length(clip), skipping, models)
    return compared(golden, ours, size_of(video))


def found(
    video: Path, count: int, skipping: FrameSkipping = EVERY_FRAME, models: ModelRepository | None = None
) -> list[Mapping[str, npt.NDArray[np.float32]]]:
    """Our landmarks of the first ``count`` frames, by part."""
    extractor = LandmarkExtractor(models or models_in("shipped"), skipping=skipping)
    for index, image in enumerate(islice(frames(video), count)):
        extractor.process(image, (index + 1) * FRAME_PERIOD)
    landmarks = extractor.finish()
    return [landmarks.get((index + 1) * FRAME_PERIOD, {}) for index in range(count)]


def length(clip: str) -> int:
    """The frames of a shared clip."""
    return len(np.load(SHARED / "golden" / f"{clip}.npz")["pose"])


def size_of(video: Path) -> tuple[int, int]:
    """Width and height of the frames."""
    height, width, _ = next(frames(video)).shape
    return width, height


def kernels() -> list[str]:
    """The kernels that oneDNN chooses for the pose's convolutions in float32, such as ``brgconv_avx512_f32``."""
    path = models_in("f32").get("pose_landmark_full").path
    compiled = new_core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    operations = [node.get_rt_info() for node in compiled.get_runtime_model().get_ops()]
    used = (node["primitiveType"] for node in operations if node["layerType"].astype(str) == "Convolution")
    return sorted({kernel.astype(str) for kernel in used})


def main() -> int:
    """Measure in each precision, print a table for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--precision", nargs="+", choices=PRECISIONS, default=["shipped"])
    parser.add_argument("--clips", nargs="+", choices=CLIPS, default=list(CLIPS))
    parser.add_argument("--frames", type=int, choices=(SHORT,), help=f"only the first {SHORT} of each clip")
    parser.add_argument("--fast", action="store_true", help="as holisticTrackingFast looks at hands")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if not SHARED.is_dir():
        sys.exit(f"{SHARED} is not here: the golden landmarks are needed")
    isa, used = os.environ.get("ONEDNN_MAX_CPU_ISA"), kernels()
    print(f"ONEDNN_MAX_CPU_ISA {isa or 'is not set'}; float32 convolutions: {', '.join(used)}")
    limits = {clip: allowed(NOISE, clip, options.frames or length(clip)) for clip in options.clips}
    skipping = EVERY_FRAME
    if options.fast:
        skipping = FAST
        for clip, parts in limits.items():
            mostly = Allowed((options.frames or length(clip)) // 20, math.inf, math.inf)
            parts.update(dict.fromkeys(("face", "left_hand", "right_hand"), mostly))
    results = {}
    for precision in options.precision:
        models = models_in(precision)
        results[precision] = {clip: measure(clip, skipping, models, options.frames) for clip in options.clips}
        print_table(f"{precision}{' fast' * options.fast}", results[precision], limits)
    held = [results[name] for name in ("shipped", "f32") if name in results]
    excess = [
        f"{clip}.{part}" for each in held for clip, parts in each.items() for part, row in parts.items()
        if not limits[clip][part].admits(row)
    ]  # fmt: skip
    first = held[0] if held else {}
    if options.json:
        report = {
            "ratios": {
                f"{clip}.{part}": row.median / BOUNDS[part]
                for clip, parts in first.items()
                for part, row in parts.items()
                if row.both
            },
            "environment": {
                "python": platform.python_version(),
                "machine": platform.processor() or platform.machine(),
                "ONEDNN_MAX_CPU_ISA": isa,
                "kernels": used,
            },
            "excess": excess,
            "precisions": results,
        }
        options.json.write_text(json.dumps(report, indent=2, default=asdict))
    return 1 if excess else 0


if __name__ == "__main__":
    sys.exit(main())
