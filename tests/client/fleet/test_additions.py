"""Streams that are added to the file, with what is there left as it is."""

from pathlib import Path

import pytest

from stream_client.errors import ConfigurationError, SinkError
from stream_client.fleet.additions import add_stream
from stream_client.fleet.plan import read_plans

TEXT = """\ufeff# our cameras
[defaults]
labels_output = "labels/{stream}.jsonl" # one each

[streams.door]
input_stream = 0"""
PATTERN = "testsrc:160x120@15"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "streams.toml"
    found.write_text(TEXT)
    return found


def test_a_stream_is_appended_and_the_rest_stays(path: Path) -> None:
    path.chmod(0o640)
    given = {"input_stream": 'rtsp://user:"\\é\x7f@host/x', "output_stream": ["a.mp4", "none"], "max_side": 320}
    add_stream(path, "back yard", given)
    door, yard = read_plans(path)
    assert door.settings["labels_output"] == "labels/door.jsonl"
    assert yard.settings == {"stream_name": "back yard", "labels_output": "labels/back yard.jsonl", **given}
    assert path.read_text().startswith(TEXT.removeprefix("\ufeff"))
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("name", "given", "reason"),
    [
        ("door", {"input_stream": PATTERN}, "a stream 'door' already"),
        ("a/b", {"input_stream": PATTERN}, "a name has up to 64"),
        ("b", {"input_stream": PATTERN, "labels_output": "labels/door.jsonl"}, "both write"),
        ("b", {"input_stream": "\ud800"}, "characters that no file can have"),
    ],
)
def test_what_cannot_work_is_refused_and_the_file_stays(
    path: Path, name: str, given: dict[str, object], reason: str
) -> None:
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match=reason):
        add_stream(path, name, given)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_file_that_has_gone_is_named(path: Path) -> None:
    path.unlink()
    with pytest.raises((ConfigurationError, SinkError), match=r"streams\.toml: No such file"):
        add_stream(path, "b", {"input_stream": PATTERN})
