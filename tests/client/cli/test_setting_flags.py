"""Flags that are made from settings."""

import argparse

import pytest

from stream_client.cli.flags import build_parser
from stream_client.cli.parser import Parser
from stream_client.cli.setting_flags import add_settings
from stream_client.errors import ConfigurationError
from stream_client.options import RunOptions
from stream_client.transport.options import TransportOptions
from stream_client.util.settings import read


def parse(*arguments: str) -> dict[str, object]:
    return vars(build_parser().parse_args(["--input_stream", "testsrc", *arguments]))


def test_without_flags_options_are_their_defaults() -> None:
    assert read(RunOptions, parse()) == RunOptions()
    assert read(TransportOptions, parse()) == TransportOptions()


def test_a_flag_takes_the_unit_that_is_declared() -> None:
    assert read(RunOptions, parse("--latency_target", "250")).latency_target == 0.25


def test_what_is_on_by_default_is_turned_off() -> None:
    assert not read(TransportOptions, parse("--no_shared_memory")).shared_memory


def test_a_number_or_a_word_is_told_from_everything_else() -> None:
    assert read(RunOptions, parse("--max_inflight", "3")).max_inflight == 3
    assert read(RunOptions, parse("--max_inflight", "auto")).max_inflight == "auto"
    with pytest.raises(ConfigurationError, match=r"'some' is not a whole number, nor auto \(max_inflight\)"):
        read(RunOptions, parse("--max_inflight", "some"))


def test_a_second_source_is_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse("--input_stream", "testsrc")
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: argument --input_stream: given twice, but a run takes one (see ")


def test_help_shows_units_choices_and_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    text = build_parser().format_help()
    assert "--request_timeout SECONDS" in text
    assert "--latency_target MILLISECONDS" in text
    assert "sent again (default: 10)" in text
    assert "--drop_policy {block,latest}  block: wait" in text
    assert "--return WHAT" in text
    assert "--side_packet NAME=VALUE" in text
    assert "picture, with landmarks drawn; labels,landmarks: only these" in text
    assert "agree within 10 %, or" in text
    assert "is given up; 0: at once (default: never, but 60 for the server of a file)" in text


def test_a_command_may_have_a_default_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    parser: argparse.ArgumentParser = Parser("command", "", "")
    add_settings(parser.add_argument, RunOptions, "reconnect_timeout", reconnect_timeout=0.0)
    assert read(RunOptions, vars(parser.parse_args([]))).reconnect_timeout == 0
    assert "0: at once (default: 0)" in parser.format_help()
