from pathlib import Path

import pytest

from stream_client.errors import ConfigurationError
from stream_client.training.versions import choose_version, keep_newest, new_version, versions


def test_the_next_version_follows_the_highest_and_other_folders_do_not_count(tmp_path: Path) -> None:
    assert choose_version(tmp_path / "m") == 1
    for name in ("2", "10", "logs", ".part-3"):
        (tmp_path / "m" / name).mkdir()
    assert versions(tmp_path / "m") == [2, 10]
    assert choose_version(tmp_path / "m") == 11
    assert choose_version(tmp_path / "m", 5) == 5
    with pytest.raises(ConfigurationError, match=r"has a version 10 already.*\(version\)"):
        choose_version(tmp_path / "m", 10)
    with pytest.raises(ConfigurationError, match="1 or more"):
        choose_version(tmp_path / "m", 0)


def test_a_directory_that_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"file: it is a file \(out\)"):
        choose_version(tmp_path / "file")
    with pytest.raises(ConfigurationError, match="cannot write"):
        choose_version(tmp_path / "file" / "m")


def test_a_version_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot write"), new_version(tmp_path, 1) as folder:
        (folder / "missing" / "m.onnx").touch()
    assert list(tmp_path.iterdir()) == []
    with new_version(tmp_path, 1) as folder:
        (folder / "m.onnx").touch()
        assert versions(tmp_path) == []
    assert (tmp_path / "1" / "m.onnx").is_file()


def test_only_the_newest_versions_are_kept(tmp_path: Path) -> None:
    for name in ("1", "2", "3", "notes"):
        (tmp_path / name).mkdir()
    assert keep_newest(tmp_path, 2) == [1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2", "3", "notes"]
    assert keep_newest(tmp_path, 9) == []
