"""What has to be hidden is hidden from everybody: no detector finds a face, and doubt hides the whole."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from stream_client import ArraySource, Request, Result, StreamClient
from stream_client.errors import ConfigurationError, ServerError
from stream_client.frames import Detections, Frame, Image, Landmarks, Tensor
from stream_client.processing.options import Hidden, PrivacyOptions, Style
from stream_client.processing.privacy import Privacy
from stream_client.testing import FakeTransport
from stream_client.tracking import DetectionOptions, DetectionReader
from stream_client.transport.function import Outputs
from tests.conftest import shared
from tests.support.face_detector import FaceDetector
from tests.support.video import rgb

NOISE: Image = np.random.default_rng(3).integers(0, 256, (200, 300, 3), np.uint8)
EVERY = 4
"""Every fourth frame is looked at. With 1 it is more than 1,000 hidden frames, and takes a minute."""
PERSON, FACE = [100, 40, 160, 180], [118, 44, 142, 72]


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    return FaceDetector()


def golden(clip: str) -> Iterator[tuple[Image, Landmarks]]:
    """The frames of a clip in which MediaPipe sees a person, with its landmarks; and the same mirrored."""
    found = np.load(shared(f"golden/{Path(clip).stem}.npz"))
    with av.open(str(shared(f"clips/{clip}"))) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index >= len(found["pose"]) or np.isnan(found["pose"][index]).any():
                continue
            image = rgb(frame)
            for mirrored in (False, True):
                yield image[:, ::-1] if mirrored else image, landmarks(found, index, mirrored)


def landmarks(found: "dict[str, npt.NDArray[np.float32]]", index: int, mirrored: bool) -> Landmarks:
    def points(name: str) -> npt.NDArray[np.float32]:
        table = found[name][index].copy()
        table[:, 0] = 1 - table[:, 0] if mirrored else table[:, 0]
        return np.asarray(table, np.float32)

    pose = np.column_stack([points("pose"), np.ones(33, np.float32)])
    face = points("face")
    return Landmarks(pose, np.zeros((33, 3), np.float32), (1, 1), face=None if np.isnan(face).any() else face)


def around_head(seen: Landmarks, image: Image) -> list[float]:
    """A box around the head, twice as large as its points."""
    points = seen.pose[:11, :2] * [image.shape[1], image.shape[0]]
    middle, half = points.mean(axis=0), np.ptp(points, axis=0).max()
    return [*(middle - half), *(middle + half)]


def result(
    image: Image,
    *,
    timestamp: int = 0,
    outputs: dict[str, Tensor] | None = None,
) -> Result:
    frame = Frame(0, timestamp, image, 0.0)
    return Result(frame, image, outputs=outputs or {})


def detections(
    *boxes: Sequence[float], names: tuple[str, ...] = ("person", "face"), classes: tuple[int, ...]
) -> Detections:
    table = np.array(boxes, np.float32).reshape(-1, 4)
    return Detections(table, np.full(len(table), 0.9, np.float32), np.array(classes, np.int64), names)


def changed(after: Result, box: list[int]) -> npt.NDArray[np.bool_]:
    """Which pixels of a box of :data:`NOISE` are not the frame's any more."""
    left, top, right, bottom = box
    return np.asarray((after.image != NOISE).any(axis=2)[top:bottom, left:right])


def hide(
    blur: Hidden,
    shown: Result,
    *,
    found: Detections | None = None,
    seen: Landmarks | None = None,
    answered: bool = True,
    style: Style = "pixelate",
) -> Result:
    people = [] if seen is None else [seen]
    return Privacy(PrivacyOptions(blur, style)).hide(shown, people, found, answered=answered)


@pytest.mark.timeout(300)
def test_no_face_is_found_where_one_was(detector: FaceDetector) -> None:
    """A face of the person: the detector also finds the skull on a shirt in these clips."""
    faces = 0
    for clip in ("sign-again.mkv", "dance.webm"):
        for index, (image, seen) in enumerate(golden(clip)):
            head = around_head(seen, image)
            if index % EVERY:
                continue
            if detector.score(image, head) < 0.5:
                continue
            blurs: tuple[tuple[Hidden, Style], ...] = (
                ("faces", "pixelate"),
                ("faces", "solid"),
                ("persons", "pixelate"),
            )
            for blur, style in blurs:
                hidden = hide(blur, result(image), seen=seen, style=style)
                assert detector.score(hidden.image, head) < 0.5, (clip, index, blur, style)
                faces += 1
            by_pose = hide("faces", result(image), seen=replace(seen, face=None))
            assert detector.score(by_pose.image, head) < 0.5, (clip, index)
            faces += 1
    assert faces >= 1000 // EVERY


def test_a_person_without_a_face_is_hidden_as_a_whole() -> None:
    whole = hide("faces", result(NOISE), found=detections(PERSON, classes=(0,)))
    assert changed(whole, PERSON).all()
    with_face = hide("faces", result(NOISE), found=detections(PERSON, FACE, classes=(0, 1)))
    assert changed(with_face, FACE).all()
    assert not changed(with_face, [100, 100, 160, 180]).any()


def test_a_head_that_is_not_sure_hides_the_whole_person() -> None:
    pose = np.full((33, 5), 0.95, np.float32)
    pose[:, 0], pose[:, 1] = np.linspace(0.4, 0.5, 33), np.linspace(0.2, 0.9, 33)
    seen = Landmarks(pose, np.zeros((33, 3), np.float32), (300, 200))
    sure = hide("faces", result(NOISE), seen=seen)
    assert changed(sure, [120, 40, 130, 80]).all()
    assert not changed(sure, [120, 150, 150, 180]).any()
    pose[3, 3] = 0.6
    assert changed(hide("faces", result(NOISE), seen=seen), [120, 40, 150, 180]).all()


def test_a_face_on_another_person_does_not_uncover_the_first() -> None:
    other = [200.0, 40.0, 260.0, 180.0]
    shown = hide("faces", result(NOISE), found=detections(PERSON, other, FACE, classes=(0, 0, 1)))
    assert changed(shown, [200, 40, 260, 180]).all()
    assert not changed(shown, [100, 110, 160, 180]).any()


def test_classes_without_names_are_all_persons() -> None:
    found = detections(PERSON, [10, 10, 50, 50], names=(), classes=(0, 7))
    shown = hide("persons", result(NOISE), found=found)
    assert changed(shown, PERSON).all()
    assert changed(shown, [10, 10, 50, 50]).all()


def test_the_face_of_key_points_is_hidden_or_else_the_person() -> None:
    points = np.zeros((1, 17, 3), np.float32)
    points[0, :5] = [[130, 58, 0.9], [135, 53, 0.9], [125, 53, 0.9], [138, 56, 0.9], [122, 56, 0.9]]
    found = detections(PERSON, classes=(0,))
    sure = Detections(found.boxes, found.scores, found.class_ids, found.class_names, None, points)
    shown = hide("faces", result(NOISE), found=sure)
    assert changed(shown, FACE).all()
    assert not changed(shown, [100, 110, 160, 180]).any()
    points[0, 1, 2] = 0.2  # turned away
    assert changed(hide("faces", result(NOISE), found=sure), PERSON).all()


@pytest.mark.parametrize("blur", ["faces", "persons", "background"])
def test_a_frame_without_an_answer_is_not_shown(blur: Hidden) -> None:
    shown = hide(blur, result(NOISE), answered=False, style="solid")
    assert (shown.image == shown.image[0, 0]).all()
    assert (shown.frame.image == shown.image[0, 0]).all()


def test_only_persons_are_left_where_the_background_is_hidden() -> None:
    shown = hide("background", result(NOISE), found=detections(PERSON, classes=(0,)), style="solid")
    assert not changed(shown, PERSON).any()
    assert changed(shown, [0, 0, 80, 200]).all()
    nobody = hide("background", result(NOISE), found=detections(classes=()), style="solid")
    assert (nobody.image == nobody.image[0, 0]).all()


def test_a_face_that_is_missed_for_a_moment_stays_hidden() -> None:
    privacy = Privacy(PrivacyOptions("faces"))
    nothing = detections(classes=())
    privacy.hide(result(NOISE), [], detections(FACE, classes=(1,)), answered=True)
    soon = privacy.hide(result(NOISE, timestamp=400_000), [], nothing, answered=True)
    assert changed(soon, FACE).all()
    later = privacy.hide(result(NOISE, timestamp=600_000), [], nothing, answered=True)
    assert not changed(later, FACE).any()


def test_nothing_in_a_result_shows_what_is_hidden() -> None:
    outputs = {
        "image": Tensor("image", "UINT8", NOISE[None]),
        "floats": Tensor("floats", "FP32", NOISE[None].astype(np.float32)),
        "jpeg": Tensor("jpeg", "BYTES", np.array([b"\xff\xd8"], dtype=object)),
        "scores": Tensor("scores", "FP32", np.zeros((1, 4), np.float32)),
    }
    shown = hide("persons", result(NOISE, outputs=outputs), found=detections(PERSON, classes=(0,)))
    assert list(shown.outputs) == ["scores"]
    assert (shown.frame.image[40:180, 100:160] != NOISE[40:180, 100:160]).any(axis=2).all()
    assert shown.image is not NOISE


def test_a_region_outside_the_frame_hides_what_is_inside_of_it() -> None:
    shown = hide("persons", result(NOISE), found=detections([-50, -50, 20, 20], [290, 190, 900, 900], classes=(0, 0)))
    assert changed(shown, [0, 0, 20, 20]).all()
    assert changed(shown, [290, 190, 300, 200]).all()


def test_sinks_and_callbacks_of_a_run_see_hidden_frames_only_also_where_the_server_fails() -> None:
    def answer(request: Request) -> Outputs:
        if request.timestamp >= 200_000:
            raise ServerError("gone")
        return {"output0": np.array([[[*PERSON, 0.9, 0]] * 7], np.float32)}

    seen: list[Result] = []
    posted: list[Result] = []

    def post(shown: Result) -> Image:
        posted.append(shown)
        return shown.image

    client = StreamClient(
        ArraySource([NOISE] * 10, frame_rate=30),
        seen.append,
        FakeTransport(answer),
        detector=DetectionReader(DetectionOptions(detections="auto"), class_names=["person"]),
        privacy=PrivacyOptions("persons", "solid"),
        postprocess=post,
        on_result=posted.append,
    )
    client.run()
    assert 0 < len(seen) < 10
    for shown in (*seen, *posted):
        for image in (shown.image, shown.frame.image):
            assert (image[40:180, 100:160] == 114).all()


def test_a_model_that_does_not_say_where_persons_are_is_refused() -> None:
    client = StreamClient(ArraySource([NOISE]), print, FakeTransport(), privacy=PrivacyOptions("faces"))
    with pytest.raises(ConfigurationError, match="does not say where persons are"):
        client.run()
