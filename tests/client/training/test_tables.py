from pathlib import Path

import numpy as np
import pytest

from stream_client.classify.joints import BODY
from stream_client.errors import ConfigurationError
from stream_client.training.augment import mirrored_target
from stream_client.training.estimators import grouped_folds
from stream_client.training.tables import read_table


def pose_line(name: str, label: str, seed: int) -> str:
    rng = np.random.default_rng(seed)
    return ",".join([name, label, *(f"{value:.3f}" for value in rng.normal(200, 50, 99))])


def write(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def poses(path: Path, videos: int = 6) -> Path:
    lines = [
        pose_line(f"frame__video__{video}__{frame}.jpg", ("up", "down")[video % 2], 10 * video + frame)
        for video in range(videos)
        for frame in range(3)
    ]
    return write(path, lines)


def test_frames_of_one_video_are_one_group_and_a_single_picture_is_its_own(tmp_path: Path) -> None:
    path = poses(tmp_path / "poses.csv")
    with path.open("a") as file:
        file.write(pose_line("Screenshot_1.png", "up", 77) + "\n")
    dataset = read_table(path)
    assert len(set(dataset.groups.tolist())) == 7
    assert dataset.labels == ("up", "down")
    assert dataset.rows.shape == (19, 99)


def test_no_video_is_in_two_folds_and_augmentations_stay_with_their_video(tmp_path: Path) -> None:
    dataset = read_table(poses(tmp_path / "poses.csv", videos=10))
    assert dataset.extra_groups is not None
    for train, test in grouped_folds(dataset):
        assert not set(dataset.groups[train]) & set(dataset.groups[test])
        rows, targets = dataset.training(train)
        assert len(rows) == len(targets) == 4 * len(train)


def test_classes_are_renamed_in_the_order_of_their_new_names(tmp_path: Path) -> None:
    dataset = read_table(poses(tmp_path / "poses.csv"), {"down": "squatting", "up": "standing"})
    assert dataset.labels == ("squatting", "standing")


def test_trajectories_are_held_out_in_contiguous_blocks_of_each_class(tmp_path: Path) -> None:
    lines = [",".join([str(label), *["0.1"] * 32]) for label in (0, 2) for _ in range(20)]
    dataset = read_table(write(tmp_path / "points.csv", lines), {"2": "circle"})
    assert dataset.labels == ("0", "circle")
    assert dataset.columns[:3] == ("dx0", "dy0", "dx1")
    for _, test in grouped_folds(dataset):
        for target in (0, 1):
            here = test[dataset.targets[test] == target]
            assert len(here) == 4
            assert np.array_equal(here, np.arange(here[0], here[0] + 4))


def test_a_single_photo_a_class_leaves_nothing_to_hold_out(tmp_path: Path) -> None:
    dataset = read_table(write(tmp_path / "two.csv", [pose_line("a.jpg", "up", 1), pose_line("b.jpg", "down", 1)]))
    assert "'up' has 1 sample: 20 are the fewest that say something" in dataset.warnings
    with pytest.raises(ConfigurationError, match="nothing to hold out"):
        grouped_folds(dataset)


def test_a_header_and_a_byte_order_mark_are_passed_over_and_lines_count_from_the_file(tmp_path: Path) -> None:
    path = poses(tmp_path / "poses.csv")
    header = ",".join(["name", "class", *(f"{axis}{point}" for point in range(33) for axis in "xyz")])
    body = path.read_text()
    path.write_text(f"\ufeff{header}\n\n{body}", encoding="utf-8")
    assert read_table(path).rows.shape == (18, 99)
    semicolons = path.with_name("semicolons.csv")
    semicolons.write_text(path.read_text(encoding="utf-8").replace(",", ";"), encoding="utf-8")
    np.testing.assert_array_equal(read_table(semicolons).rows, read_table(path).rows)
    path.write_text(f"{header}\n\n{body}" + pose_line("x", "up", 3).rpartition(",")[0] + ",\n")
    assert f"{path}: 1 of 19 rows skipped: line 21, column 101: '' is not a number" in read_table(path).warnings
    with pytest.raises(ConfigurationError, match="line 21, column 101: '' is not a number"):
        read_table(path, strict=True)


HEADER = ["name", "class", *(f"{axis}{point}" for point in range(33) for axis in "xyz")]


def cells(path: Path) -> list[list[str]]:
    return [line.split(",") for line in poses(path).read_text().splitlines()]


def test_tables_of_spreadsheets_are_read_as_they_are_written(tmp_path: Path) -> None:
    rows = cells(tmp_path / "poses.csv")
    expected = read_table(tmp_path / "poses.csv").rows
    german = "\r\n".join(";".join([*row[:2], *(cell.replace(".", ",") for cell in row[2:])]) for row in rows)
    header = ";".join(HEADER) + "\r\n"
    for text, encoding in (
        (german, "utf-8-sig"),
        (header + german, "utf-8-sig"),
        (f"sep=;\r\n{header}{german}", "utf-8"),
        ((header + german).replace(";", "\t"), "utf-16"),
        ("\n".join(",".join([*row, ""]) for row in [HEADER, *rows]), "utf-8"),
    ):
        (tmp_path / "other.csv").write_bytes(text.encode(encoding))
        np.testing.assert_array_equal(read_table(tmp_path / "other.csv").rows, expected)


def test_columns_are_found_by_the_names_in_the_header(tmp_path: Path) -> None:
    rows = cells(tmp_path / "poses.csv")
    expected = read_table(tmp_path / "poses.csv")
    joints = [f"{joint.upper()}_{axis}" for joint in BODY for axis in "xyz"]
    for name, header, order in (
        ("swapped", ["Class", "Name", *HEADER[2:]], [1, 0, *range(2, 101)]),
        ("behind", [*joints, "label", "file"], [*range(2, 101), 1, 0]),
        ("pandas", ["", *HEADER, "visibility"], [0, *range(101), 5]),
    ):
        write(tmp_path / f"{name}.csv", [",".join(header), *(",".join(row[i] for i in order) for row in rows)])
        found = read_table(tmp_path / f"{name}.csv")
        np.testing.assert_array_equal(found.rows, expected.rows)
        assert (found.labels, found.split, found.group_count) == (expected.labels, "source video", 6)


def test_poses_may_have_a_visibility_and_no_name(tmp_path: Path) -> None:
    rows = cells(tmp_path / "poses.csv")
    expected = read_table(tmp_path / "poses.csv")
    seen = [[row[1], *(c for j in range(33) for c in (*row[2 + 3 * j : 5 + 3 * j], "0.9"))] for row in rows]
    names = ["class", *(f"{axis}{point}" for point in range(1, 34) for axis in "xyzv")]
    for lines in ([names, *seen], seen, [row[1:] for row in rows]):
        found = read_table(write(tmp_path / "other.csv", [",".join(row) for row in lines]))
        np.testing.assert_array_equal(found.rows, expected.rows)
        assert found.split == "table or block of time"


def test_a_column_of_names_is_not_taken_for_the_class(tmp_path: Path) -> None:
    lines = [pose_line("up", f"photo {number}.jpg", number) for number in range(30)]
    with pytest.raises(ConfigurationError, match=r"column 2 has 30 classes in 30 rows, such as 'photo 0\.jpg': is it"):
        read_table(write(tmp_path / "poses.csv", lines))
    lines = [pose_line(f"{number}.jpg", ("up", "Up", "")[number % 3], number) for number in range(9)]
    found = read_table(write(tmp_path / "poses.csv", lines))
    assert found.labels == ("up", "Up")
    assert "'Up', 'up' differ in capitals only, and are learned apart" in found.warnings
    assert any("3 of 9 rows skipped: line 3, column 2: the class is empty" in note for note in found.warnings)


def test_two_classes_may_get_one_name(tmp_path: Path) -> None:
    lines = [pose_line(f"{number}.jpg", ("up", "Up", "down")[number % 3], number) for number in range(9)]
    found = read_table(write(tmp_path / "poses.csv", lines), {"Up": "up"})
    assert found.labels == ("up", "down")
    assert np.bincount(found.targets).tolist() == [6, 3]
    found = read_table(tmp_path / "poses.csv", {"UP": "up"})
    assert "nothing is called 'UP', which is to be renamed" in found.warnings


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "is empty"),
        (["a,b,c"], "has 3 columns: that is neither a pose"),
        ([pose_line("a.jpg", "up", 1), pose_line("b.jpg", "up", 1), "x,y"], "line 3 has 2 columns, most have 101"),
        ([pose_line("a.jpg", "up", 1), pose_line("b.jpg", "up", 1)], "one label only, 'up'"),
        ([pose_line("a.jpg", "up", 1).replace(",1", ",x", 1)], "line 1, column 6: 'x[0-9.]*' is not a number"),
        (["0.5," + ",".join(["1"] * 32)], "the first column has to be the class's number"),
        (["nan," + ",".join(["1"] * 32)], "line 1, column 1: 'nan' is not a number"),
    ],
)
def test_a_bad_table_is_refused_in_one_line(tmp_path: Path, lines: list[str], message: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text("\n".join(lines))
    with pytest.raises(ConfigurationError, match=message) as caught:
        read_table(path, strict=True)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("labels", "target", "expected"),
    [
        (("Left Step", "Right Step"), 0, 1),
        (("left", "RIGHT"), 1, None),
        (("standing", "squatting"), 1, 1),
        (("Left Step", "jump"), 0, None),
        (("arm LEFT up", "arm RIGHT up"), 1, 0),
    ],
)
def test_a_mirror_image_has_the_label_of_the_other_side(
    labels: tuple[str, ...], target: int, expected: int | None
) -> None:
    assert mirrored_target(labels, target) == expected
