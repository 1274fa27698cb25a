"""What is collected: by which strategy, within which limits, and in formats that others read."""

import json
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools.coco import COCO

from stream_client import ArraySource, Request, Result, StreamClient
from stream_client.collect.factory import parse_strategy
from stream_client.collect.limits import MINUTE, Rate, Seen
from stream_client.collect.options import CollectOptions, DataFormat
from stream_client.collect.sink import CollectSink
from stream_client.collect.strategies import Disagreement, Motion, NewPose, Random, Rare, Strategy, Uncertain
from stream_client.errors import ConfigurationError, SinkError
from stream_client.frames import Detections, Frame, Image, Label, Landmarks
from stream_client.testing import FakeTransport
from stream_client.training.material import SearchOptions, search
from stream_client.transport.function import Outputs
from tests.support.waiting import wait_until


def noise(seed: int, width: int = 64, height: int = 48) -> Image:
    """A frame that looks like no other."""
    blocks = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return np.kron(blocks, np.ones((height // 6, width // 8, 1), np.uint8))


def shown(
    image: Image, label: tuple[str, float] | None = None, time: float = 0.0, seen: Landmarks | None = None
) -> Result:
    made = None if label is None else Label(label[0], label[1], {label[0]: label[1]})
    return Result(Frame(round(time * 30), round(time * 1e6), image, 0.0), image, made, time=time, landmarks=seen)


def chosen(strategy: Strategy, results: list[Result]) -> list[int]:
    return [index for index, result in enumerate(results) if strategy.wants(result)]


def pose(shift: float) -> Landmarks:
    table = np.full((33, 5), 0.9, np.float32)
    table[:, :2] = np.linspace(0.3, 0.6, 33)[:, None]
    table[[11, 12], 1], table[[23, 24], 1] = 0.3, 0.6
    table[15:23, 0] += shift
    return Landmarks(table, np.zeros((33, 3), np.float32), (100, 100))


def test_uncertain_are_the_scores_within_the_bounds() -> None:
    results = [shown(noise(0), ("a", score)) for score in (0.39, 0.4, 0.5, 0.6, 0.61)]
    assert chosen(Uncertain(), results) == [1, 2, 3]
    boxes = np.zeros((2, 4), np.float32)
    found = Detections(boxes, np.array([0.9, 0.5], np.float32), np.zeros(2, np.int64))
    assert Uncertain().wants(Result(Frame(0, 0, noise(0), 0.0), noise(0), detections=found))


def test_rare_are_labels_below_their_share() -> None:
    names = ["a"] * 40 + ["b"] + ["a"] * 9 + ["b"] * 6
    results = [shown(noise(0), (name, 0.9)) for name in names]
    # 1 of 41 is below 5 %; b then grows: 1 of 50, 2 of 51, and 3 of 52 is above.
    assert chosen(Rare(), results) == [40, 50, 51]


def test_a_random_share_is_that_share() -> None:
    strategy = Random(0.1, random.Random(7))
    count = len(chosen(strategy, [shown(noise(0))] * 5000))
    assert 400 < count < 600


def test_motion_is_a_change_of_the_frame() -> None:
    still, moved = noise(1), noise(2)
    assert chosen(Motion(), [shown(still), shown(still), shown(moved), shown(moved), shown(still)]) == [2, 4]


def test_a_new_pose_is_far_from_all_before() -> None:
    shifts = (0.0, 0.01, 0.6, 0.61, 0.0, 1.2)
    assert chosen(NewPose(0.2), [shown(noise(0), seen=pose(shift)) for shift in shifts]) == [0, 2, 5]
    assert not NewPose().wants(shown(noise(0)))


def test_two_classifiers_disagree_where_both_are_sure() -> None:
    class Other:
        def __init__(self) -> None:
            self.names = iter(["a", "b", "unknown", "b"])

        def classify(self, landmarks: Landmarks | None, timestamp: int) -> Label:
            return Label(next(self.names), 0.9, {})

    results = [shown(noise(0), ("a", 0.9))] * 3 + [shown(noise(0))]
    assert chosen(Disagreement(Other()), results) == [1]


@given(st.lists(st.floats(0, 300), max_size=80), st.integers(1, 5))
def test_no_minute_has_more_than_its_limit(times: list[float], most: int) -> None:
    rate = Rate({MINUTE: most, 200.0: 2 * most})
    kept = []
    for time in sorted(times):
        if rate.allows(time):
            rate.add(time)
            kept.append(time)
    for time in kept:
        assert sum(time - MINUTE < other <= time for other in kept) <= most
        assert sum(time - 200 < other <= time for other in kept) <= 2 * most


def test_what_looks_the_same_is_kept_once() -> None:
    seen = Seen()
    image = noise(3)
    brighter = np.clip(image.astype(int) + 6, 0, 255).astype(np.uint8)
    assert seen.is_new(image)
    assert not seen.is_new(image)
    assert not seen.is_new(brighter)
    assert all(seen.is_new(noise(seed)) for seed in range(10, 40))


def test_in_a_room_that_stays_the_same_a_person_who_moves_is_new() -> None:
    seen = Seen()
    room = np.kron(noise(1), np.ones((10, 10, 1), np.uint8))
    frames = []
    for seed in range(5):
        frames.append(room.copy())
        frames[-1][100:148, 100:164] = noise(50 + seed)
    box = (100.0, 100.0, 164.0, 148.0)
    assert [seen.is_new(frame) for frame in frames] == [True] + 4 * [False]
    assert all(seen.is_new(frame, [box]) for frame in frames)
    assert not any(seen.is_new(frame, [box]) for frame in frames)


def collect(folder: Path, kind: DataFormat, *, frames: int = 30, per_minute: int = 100) -> CollectSink:
    """A run whose labels are ``up`` and ``down`` by turns of ten frames, with a person in each frame."""

    sink = CollectSink(folder, [Uncertain()], kind=kind, per_minute=per_minute)

    def answer(request: Request) -> Outputs:
        wait_until(lambda: not len(sink._queue))  # the disk keeps up
        up = round(request.timestamp * 10 / 1e6) // 10 % 2 == 0
        return {"scores": np.array([[0.55, 0.45] if up else [0.45, 0.55]], np.float32)}

    client = StreamClient(
        ArraySource([noise(seed) for seed in range(frames)], frame_rate=10),
        sink,
        FakeTransport(answer),
        label_names=["up", "down"],
        detector=OnePerson(),
    )
    client.run()
    return sink


class OnePerson:
    def fit(self, image: Image, width: int, height: int) -> Image:
        return image

    def read(self, outputs: object, sent: tuple[int, int], shown: tuple[int, int], timestamp: int) -> Detections:
        boxes = np.array([[16, 12, 48, 36]], np.float32)
        return Detections(boxes, np.array([0.9], np.float32), np.zeros(1, np.int64), ("person",), np.array([4]))


def test_a_run_gives_a_data_set_that_a_coco_reader_loads(tmp_path: Path) -> None:
    sink = collect(tmp_path, "coco")
    assert sink.kept_frames == 30
    collect(tmp_path, "coco", frames=2)  # another run adds to it
    reader = COCO(str(tmp_path / "annotations.json"))
    assert len(reader.getImgIds()) == 32
    (person,) = reader.loadCats(reader.getCatIds(["person"]))
    assert person["name"] == "person"
    annotations = reader.loadAnns(reader.getAnnIds())
    assert len(annotations) == 32
    assert annotations[0]["bbox"] == [16, 12, 32, 24]
    assert annotations[0]["track_id"] == 4
    for image in reader.loadImgs(reader.getImgIds()):
        assert (tmp_path / image["file_name"]).stat().st_size
        assert image["reason"] == ["uncertain"]
    assert {image["label"] for image in reader.loadImgs(reader.getImgIds())} == {"up", "down"}


def test_what_is_kept_is_material_of_a_training(tmp_path: Path) -> None:
    collect(tmp_path / "data", "coco")
    found = search([str(tmp_path / "data" / "images")], SearchOptions(tmp_path / "scratch"))
    labels = Counter(span.label for clip in found.clips for span in clip.spans)
    assert (labels, found.notes) == ({"up": 20, "down": 10}, [])


def test_yolo_and_label_studio_have_the_same_boxes(tmp_path: Path) -> None:
    collect(tmp_path / "yolo", "yolo", frames=3)
    texts = [path.read_text() for path in (tmp_path / "yolo" / "labels").rglob("*.txt")]
    assert texts == ["0 0.500000 0.500000 0.500000 0.500000\n"] * 3
    assert '  0: "person"' in (tmp_path / "yolo" / "data.yaml").read_text()
    images = {path.stem for path in (tmp_path / "yolo" / "images").rglob("*.jpg")}
    assert images == {path.stem for path in (tmp_path / "yolo" / "labels").rglob("*.txt")}
    collect(tmp_path / "tasks", "label_studio", frames=3)
    tasks = json.loads((tmp_path / "tasks" / "tasks.json").read_text())
    box, label = tasks[0]["predictions"][0]["result"]
    assert box["value"] == {
        "x": 25,
        "y": 25,
        "width": 50,
        "height": 50,
        "rotation": 0,
        "rectanglelabels": ["person"],
    }
    assert label["value"] == {"choices": ["up"]}


def test_a_minute_has_its_limit_in_a_run(tmp_path: Path) -> None:
    assert collect(tmp_path, "coco", per_minute=7).kept_frames == 7


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SinkError, match="cannot collect in"):
        collect(tmp_path / "file", "coco")


@pytest.mark.parametrize(
    "text", ["", "all", "uncertain:1", "uncertain:0.6-0.4", "random:2", "rare:x", "motion:", "disagree"]
)
def test_a_strategy_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_strategy(text)
    assert caught.value.option == "collect_by"
    with pytest.raises(ConfigurationError, match="name it"):
        CollectOptions(collect_by=("random",))


def test_a_strategy_takes_its_number() -> None:
    assert parse_strategy("uncertain:0.3-0.7") == Uncertain(0.3, 0.7)
    assert parse_strategy("motion:0.2") == Motion(0.2)
    assert parse_strategy("rare") == Rare()
