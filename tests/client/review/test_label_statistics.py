import numpy as np
import pytest

from stream_client.frames import Frame, Label, Result
from stream_client.review.label_statistics import NO_LABEL, LabelShare, LabelStatistics

IMAGE = np.zeros((2, 2, 3), np.uint8)


def counted(*labels: str | None) -> LabelStatistics:
    statistics = LabelStatistics()
    for index, name in enumerate(labels):
        label = None if name is None else Label(name, 0.9, {name: 0.9})
        statistics.add(Result(Frame(index, index * 500_000, IMAGE, 0.0), IMAGE, label, time=index * 0.5))
    return statistics


def test_frames_share_times_and_longest_span_of_each_label() -> None:
    statistics = counted("up", "up", "down", "down", "down", "up", None, "down")
    assert statistics.frames == 8
    assert statistics.shares() == [
        LabelShare("down", 4, 0.5, 1.0, 3.5, 1.5),
        LabelShare("up", 3, 0.375, 0.0, 2.5, 1.0),
        LabelShare(NO_LABEL, 1, 0.125, 3.0, 3.0, 0.5),
    ]
    assert sum(share.share for share in statistics.shares()) == pytest.approx(1)


def test_no_frame_is_no_label() -> None:
    assert counted().to_json() == {"frames": 0, "labels": []}
