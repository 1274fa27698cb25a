import json

import numpy as np
import pytest

from stream_client.compat.streamposeml.original_features import frame_geometry, original_row
from tests.conftest import ROOT


def test_columns_are_streamposemls_own_number_for_number() -> None:
    # Written by StreamPoseML 0.3.1 itself, for two random poses.
    golden = json.loads((ROOT / "tests/data/streamposeml_row.json").read_text())
    row = original_row([frame_geometry(np.array(points)) for points in golden["points"]])
    assert row.keys() == golden["row"].keys()
    assert row == pytest.approx(golden["row"], abs=1e-8, rel=1e-8)


def test_hips_in_one_place_end_nothing() -> None:
    row = original_row([frame_geometry(np.zeros((33, 3)))])
    assert np.isnan(row["angles.frame-1-nose_neck_to_plumb_line.angle_2d"])
