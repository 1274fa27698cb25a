"""Smoothing by single nodes, compared with the fused subgraph."""

from typing import Any

import numpy as np
import pytest

from tests.support.graphs import run_graph

TEXT = """
  input_stream: "size" input_stream: "body" input_stream: "aux" input_stream: "world"
  output_stream: "fused" output_stream: "fused_world" output_stream: "smooth" output_stream: "smooth_world"
  node { calculator: "PoseLandmarkFiltering" input_stream: "IMAGE_SIZE:size" input_stream: "NORM_LANDMARKS:body"
         input_stream: "AUX_NORM_LANDMARKS:aux" input_stream: "WORLD_LANDMARKS:world"
         output_stream: "FILTERED_NORM_LANDMARKS:fused" output_stream: "FILTERED_WORLD_LANDMARKS:fused_world" }

  node { calculator: "LandmarksToDetectionCalculator" input_stream: "NORM_LANDMARKS:aux"
         output_stream: "DETECTION:detection" }
  node { calculator: "AlignmentPointsRectsCalculator" input_stream: "DETECTION:detection"
         input_stream: "IMAGE_SIZE:size" output_stream: "NORM_RECT:roi"
         options { [mediapipe.DetectionsToRectsCalculatorOptions.ext] { rotation_vector_start_keypoint_index: 0
           rotation_vector_end_keypoint_index: 1 rotation_vector_target_angle_degrees: 90 } } }
  node { calculator: "VisibilitySmoothingCalculator" input_stream: "NORM_LANDMARKS:body"
         output_stream: "NORM_FILTERED_LANDMARKS:seen"
         options { [mediapipe.VisibilitySmoothingCalculatorOptions.ext] { low_pass_filter { alpha: 0.1 } } } }
  node { calculator: "LandmarksSmoothingCalculator" input_stream: "NORM_LANDMARKS:seen" input_stream: "IMAGE_SIZE:size"
         input_stream: "OBJECT_SCALE_ROI:roi" output_stream: "NORM_FILTERED_LANDMARKS:smooth"
         options { [mediapipe.LandmarksSmoothingCalculatorOptions.ext] {
           one_euro_filter { min_cutoff: 0.05 beta: 80.0 derivate_cutoff: 1.0 } } } }
  node { calculator: "VisibilitySmoothingCalculator" input_stream: "LANDMARKS:world"
         output_stream: "FILTERED_LANDMARKS:world_seen"
         options { [mediapipe.VisibilitySmoothingCalculatorOptions.ext] { low_pass_filter { alpha: 0.1 } } } }
  node { calculator: "LandmarksSmoothingCalculator" input_stream: "LANDMARKS:world_seen"
         output_stream: "FILTERED_LANDMARKS:smooth_world"
         options { [mediapipe.LandmarksSmoothingCalculatorOptions.ext] {
           one_euro_filter { min_cutoff: 0.1 beta: 40.0 derivate_cutoff: 1.0 disable_value_scaling: true } } } }
"""


def test_single_nodes_smooth_landmarks_like_the_subgraph() -> None:
    random = np.random.default_rng(1)
    packets: list[tuple[str, int, Any]] = []
    for step in range(12):
        if step == 6:
            packets.append(("size", step * 33_333, (640, 480)))  # the pose is lost in this frame
            continue
        for name, count in (("body", 33), ("aux", 2), ("world", 33)):
            landmarks = random.normal(0.5, 0.02, (count, 5)).astype(np.float32)
            landmarks[0] -= 0.3
            packets.append((name, step * 33_333, landmarks))
        packets.append(("size", step * 33_333, (640, 480)))
    out = run_graph(TEXT, packets)
    for name, fused in (("smooth", "fused"), ("smooth_world", "fused_world")):
        assert [timestamp for timestamp, _ in out[name]] == [timestamp for timestamp, _ in out[fused]]
        for (_, ours), (_, theirs) in zip(out[name], out[fused], strict=True):
            assert ours == pytest.approx(theirs, abs=1e-5)
    first, last = packets[0][2], out["smooth"][-1][1]
    assert not np.allclose(first, last)
