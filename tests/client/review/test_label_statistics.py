import numpy as np
import pytest

from stream_client.frames import Frame, Label, Landmarks, Person, Result
from stream_client.review.label_statistics import NO_LABEL, LabelShare, LabelStatistics, VideoStatistics

IMAGE = np.zeros((2, 2, 3), np.uint8)


def counted(*labels: str | None) -> LabelStatistics:
    statistics = LabelStatistics()
    for index, name in enumerate(labels):
        label = None if name is None else Label(name, 0.9, {name: 0.9})
        statistics.add(label, index * 0.5)
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


def test_each_person_has_labels_of_their_own_and_frames_without_them_end_a_span() -> None:
    def result(index: int, **labels: str | None) -> Result:
        persons = tuple(
            Person(int(name[1:]), nowhere, (0, 0, 1, 1), None if label is None else Label(label, 0.9, {}))
            for name, label in labels.items()
        )
        return Result(Frame(index, index, IMAGE, 0.0), IMAGE, None, time=index * 0.5, persons=persons)

    points = np.zeros((33, 5), np.float32)
    nowhere = Landmarks(points, points[:, :3], (2, 2))
    statistics = VideoStatistics()
    for each in (result(0, p1="up"), result(1, p1="up", p2="down"), result(2, p2=None), result(3, p1="up", p2="down")):
        statistics.add(each)
    assert statistics.whole.shares() == [LabelShare(NO_LABEL, 4, 1.0, 0.0, 1.5, 1.5)]
    assert statistics.persons[1].shares() == [LabelShare("up", 3, 1.0, 0.0, 1.5, 1.0)]
    first, second = statistics.to_json()["persons"]
    assert (first["person"], first["frames"], second["person"], second["frames"]) == (1, 3, 2, 3)
    assert {each["label"]: each["frames"] for each in second["labels"]} == {"down": 2, NO_LABEL: 1}
