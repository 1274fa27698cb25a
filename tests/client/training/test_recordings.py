"""The landmarks that a stream wrote are training data."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pyarrow import parquet

from stream_client.errors import SourceCodecError, SourceNotFoundError
from stream_client.frames import Frame, Landmarks, Result, StreamInfo
from stream_client.sinks.landmarks import LandmarksSink
from stream_client.training.load import load_dataset
from stream_client.training.material.recordings import read_labels, read_track
from stream_client.training.photos import PhotoSource, read_photo
from stream_client.training.windows import ClipOptions
from tests.client.training.movements import waving, write_annotations
from tests.client.training.test_train import WINDOW

IMAGE = np.zeros((480, 640, 3), np.uint8)


def write_recording(path: Path, side: str | None, seed: int) -> Path:
    """What ``--landmarks_output`` writes of a made-up person."""
    path.parent.mkdir(parents=True, exist_ok=True)
    track = waving(side, seed=seed)
    sink = LandmarksSink(path)
    sink.open(StreamInfo("x", 640, 480))
    for index, (timestamp, points) in enumerate(zip(track.timestamps.tolist(), track.landmarks, strict=True)):
        pose = np.zeros((33, 5), np.float32)
        pose[:, :3] = points[:33] / [640, 480, 640]
        found = None if index == 10 else Landmarks(pose, points[:33].astype(np.float32) / 100, (640, 480))
        frame = Frame(index, timestamp, IMAGE, 0.0)
        sink.write(Result(frame=frame, time=timestamp / 1e6, image=IMAGE, landmarks=found))
    sink.close()
    return path


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_landmarks_are_read_as_the_stream_had_them(tmp_path: Path, suffix: str) -> None:
    path = write_recording(tmp_path / f"own{suffix}", "left", 1)
    track, expected = read_track(path, "image"), waving("left", seed=1)
    assert np.array_equal(track.timestamps, expected.timestamps)
    assert track.person(10) is None
    np.testing.assert_allclose(track.landmarks[0, :33], expected.landmarks[0, :33], atol=0.01)
    np.testing.assert_allclose(read_track(path, "world").landmarks[0, :33] * 100, expected.landmarks[0, :33], atol=0.01)
    assert read_track(path, "image", 3).timestamps.tolist() == expected.timestamps[::3].tolist()
    assert read_labels(path) == ()


def test_a_file_a_class_trains_without_a_video(tmp_path: Path) -> None:
    for number, side in enumerate(("left", None)):
        write_recording(tmp_path / f"{side or 'standing'}.{('jsonl', 'parquet')[number]}", side, number)
    dataset = load_dataset(tmp_path, ClipOptions(window=WINDOW))
    assert dataset.labels == ("left", "standing")


def test_labels_come_from_a_column_a_file_beside_or_an_annotation(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "own.jsonl", "left", 1)
    rows = [json.loads(line) for line in path.read_text().splitlines()]

    def label(row: dict[str, float]) -> str:
        return "a" if row["time"] < 1.5 else "b"

    def samples(data: Path) -> tuple[tuple[str, ...], Sequence[int]]:
        dataset = load_dataset(data, ClipOptions(window=WINDOW))
        return dataset.labels, dataset.targets.tolist()

    write_annotations(tmp_path / "own.json", [(0.0, 1.519999, "a"), (1.52, 3.0, "b")], name="own.jsonl")
    expected = samples(tmp_path / "own.json")
    assert expected[0] == ("a", "b")
    (tmp_path / "own.json").unlink()
    (tmp_path / "own.csv").write_text("start,end,label\n0,1.519999,a\n1.52,3.0,b\n")
    assert samples(path) == expected
    (tmp_path / "own.csv").unlink()
    (tmp_path / "own.labels.jsonl").write_text(
        "".join(json.dumps({"time": r["time"], "label": label(r)}) + "\n" for r in rows)
    )
    assert samples(tmp_path) == expected
    (tmp_path / "own.labels.jsonl").unlink()
    path.write_text("".join(json.dumps({**row, "label": label(row)}) + "\n" for row in rows))
    first = read_labels(path)[0]
    assert (first.start, first.end, first.label) == (0.0, pytest.approx(1.52, abs=1e-5), "a")
    assert samples(path) == expected
    columns = write_recording(tmp_path / "columns.parquet", "left", 1)
    table = parquet.read_table(columns)
    parquet.write_table(table.append_column("label", [[label(row) for row in table.to_pylist()]]), columns)
    assert samples(columns) == expected


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2 is no JSON"),
        ("[]", "line 2 is no row"),
        ('{"time": 1, "width": 9, "height": 9, "pose": [[1]]}', r"line 2 has no landmarks: .*\[33, 5\] are expected"),
        ('{"time": 0}', "line 2 has no landmarks"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text('{"time": 0, "width": 9, "height": 9, "pose": null}\n' + line + "\n")
    with pytest.raises(SourceCodecError, match=message) as caught:
        read_track(path, "image")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_parquet_is_named(tmp_path: Path) -> None:
    (tmp_path / "own.parquet").write_text("no")
    with pytest.raises(SourceCodecError, match=r"own\.parquet is not Parquet"):
        read_track(tmp_path / "own.parquet", "image")


def test_a_photo_is_one_upright_frame_of_bounded_size(tmp_path: Path) -> None:
    photo = Image.fromarray(np.full((1000, 2000, 3), 200, np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees
    photo.save(tmp_path / "a.jpg", exif=exif)
    source = PhotoSource(tmp_path / "a.jpg")
    info = source.open()
    assert (info.width, info.height) == (640, 1280)
    frame = source.read()
    assert frame is not None
    assert frame.image.shape == (1280, 640, 3)
    assert source.read() is None
    (tmp_path / "b.jpg").write_text("no")
    with pytest.raises(SourceCodecError, match=r"b\.jpg is not a photo"):
        PhotoSource(tmp_path / "b.jpg").open()
    with pytest.raises(SourceNotFoundError):
        PhotoSource(tmp_path / "c.jpg").open()


def test_photos_of_more_than_eight_bits_keep_their_grays(tmp_path: Path) -> None:
    grays = np.tile(np.linspace(0, 1, 64), (48, 1))
    Image.fromarray((grays * 65535).astype(np.uint16)).save(tmp_path / "a.png")
    Image.fromarray(grays.astype(np.float32)).save(tmp_path / "b.tif")
    Image.fromarray((grays * 4095).astype(np.int32)).save(tmp_path / "c.tif")
    for name in ("a.png", "b.tif", "c.tif"):
        np.testing.assert_allclose(read_photo(tmp_path / name)[..., 0], 255 * grays, atol=1)


@pytest.mark.parametrize("mode", ["CMYK", "LA", "P", "1", "RGBA", "YCbCr"])
def test_photos_of_any_mode_are_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("a.tif" if mode in ("CMYK", "YCbCr") else "a.png")
    Image.new("RGB", (64, 48), "white").convert(mode).save(path)
    assert read_photo(path).shape == (48, 64, 3)
    assert read_photo(path).min() >= 250
