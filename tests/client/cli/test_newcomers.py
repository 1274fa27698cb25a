"""What somebody meets who uses the command line for the first time."""

from pathlib import Path

import pytest

from stream_client.errors import SourceNotFoundError, StreamClientError
from stream_client.processing.labels import read_label_names
from stream_client.sinks.factory import open_sink
from stream_client.sources.factory import open_source
from stream_client.util.extras import install_command
from tests.support.client import run_here


@pytest.mark.parametrize(
    ("flag", "meant"),
    [
        ("--input-stream", "--input_stream"),
        ("--output_steam", "--output_stream"),
        ("--max_infligth=3", "--max_inflight"),
    ],
)
def test_a_misspelt_flag_is_answered_with_the_right_one(flag: str, meant: str) -> None:
    done = run_here("--input_stream", "in.mp4", flag, "x")
    assert done.returncode == 2
    assert f"did you mean {meant}?" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_flag_like_no_other_is_refused_as_it_is() -> None:
    done = run_here("--input_stream", "in.mp4", "--zzzzzzzz")
    assert "unrecognized arguments: --zzzzzzzz (see" in done.stderr


def test_flags_that_are_missing_are_not_taken_for_misspelt_ones() -> None:
    done = run_here("train")
    assert "required: --data, --out (see" in done.stderr


def test_a_file_that_is_missing_is_answered_with_one_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "demo.mp4").touch()
    source = open_source(tmp_path / "dmeo.mp4")
    with pytest.raises(SourceNotFoundError, match=r"dmeo.mp4 does not exist: did you mean .*/demo.mp4\?"):
        source.open()


def test_a_link_to_nothing_is_not_answered_with_itself(tmp_path: Path) -> None:
    (tmp_path / "demo.mp4").symlink_to("nothing.mp4")
    with pytest.raises(SourceNotFoundError, match=r"demo.mp4 does not exist(?!: did you mean)"):
        open_source(tmp_path / "demo.mp4").open()


def test_a_relative_path_is_said_to_begin_in_this_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceNotFoundError, match=f"does not exist in {tmp_path}"):
        open_source("in.mp4").open()


@pytest.mark.parametrize("flag", ["--output_stream", "--labels_output", "--landmarks_output"])
def test_a_missing_folder_of_an_output_is_to_be_made(flag: str, clip: Path, tmp_path: Path) -> None:
    name = tmp_path / "no" / ("out.mp4" if flag == "--output_stream" else "out.jsonl")
    sink = open_sink(name) if flag == "--output_stream" else None
    if sink is None:
        from stream_client.sinks.labels import LabelsSink

        sink = LabelsSink(name)
    from stream_client.frames import StreamInfo

    with pytest.raises(StreamClientError, match=f"make the folder {name.parent} first"):
        sink.open(StreamInfo("test", 64, 48))


@pytest.mark.parametrize("flag", ["--input_stream", "--output_stream", "--labels_output", "--report"])
def test_a_name_that_is_too_long_is_one_line(flag: str, clip: Path, pass_through_server: str) -> None:
    name = "n" * 300 + (".mp4" if flag.endswith("stream") else "")
    given = {"--input_stream": str(clip), "--output_stream": "none", flag: name}
    flags = [word for pair in given.items() for word in pair]
    done = run_here("--grpc_address", pass_through_server, "--model_name", "passThrough", *flags, "--benchmark")
    assert done.returncode in (1, 2)
    error = done.stderr.splitlines()[-1]
    assert error.startswith("error: ")
    assert "File name too long" in error
    assert "Traceback" not in done.stderr


def test_the_library_speaks_of_its_arguments_and_the_command_line_of_its_flags() -> None:
    with pytest.raises(SourceNotFoundError, match=r"\(source\)$"):
        open_source("no.mp4").open()
    done = run_here("--input_stream", "no.mp4", "--output_stream", "none", "--grpc_address", "127.0.0.1:1")
    assert "(--input_stream)" in done.stderr


def test_a_report_on_a_full_disk_names_its_file(clip: Path, pass_through_server: str) -> None:
    flags = ("--input_stream", clip, "--benchmark", "--report", "/dev/full", "--model_name", "passThrough")
    done = run_here("--grpc_address", pass_through_server, *flags)
    assert done.returncode == 1
    assert "cannot write /dev/full: No space left on device (--report)" in done.stderr


def test_a_byte_order_mark_is_no_part_of_the_first_label(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_bytes(b"\xef\xbb\xbfstanding\r\nsitting\r\n")
    assert read_label_names(tmp_path / "labels.txt") == ("standing", "sitting")


def test_an_extra_is_installed_from_a_checkout_too() -> None:
    assert "pip install 'ovms-stream-client[screen]'" in install_command("screen")
    assert "pip install -e '.[screen]' in a checkout" in install_command("screen")
