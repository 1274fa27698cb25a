"""The library's errors as the command line prints them."""

import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest

from stream_client.cli.messages import error_line, with_flag
from stream_client.errors import ConfigurationError, DeadlineError, ServerError
from tests.conftest import ROOT


def test_an_option_is_named_in_python_and_its_flag_on_the_command_line() -> None:
    error = DeadlineError("no answer within 10 s", option="request_timeout")
    assert str(error) == "no answer within 10 s (request_timeout)"
    assert error_line(error) == "no answer within 10 s (--request_timeout)"


def test_a_value_to_try_is_named_with_its_option() -> None:
    error = ServerError("a model takes unary calls", option="api", value="unary", code="NOT_FOUND")
    assert str(error) == "a model takes unary calls (api=unary)"
    assert error_line(error) == "a model takes unary calls (--api unary)"


def test_an_error_without_an_option_is_its_message() -> None:
    assert str(ConfigurationError("no")) == error_line(ConfigurationError("no")) == "no"


def test_a_flag_of_another_name_than_its_option_is_printed_as_it_is_called() -> None:
    assert with_flag("leave it out", "postprocess") == "leave it out (--no_label_text)"
    error = ConfigurationError("no source named", option="source")
    assert error_line(error, flags={"source": "input"}) == "no source named (input)"


def test_a_message_is_one_line_without_credentials() -> None:
    assert error_line(OSError("rtsp://me:secret@host/\n  is away")) == "rtsp://***@host/ is away"


def test_errors_keep_their_option_between_processes() -> None:
    error = pickle.loads(pickle.dumps(ServerError("no", option="api", value="unary", code="ABORTED")))
    assert (str(error), error.option, error.value, error.code) == ("no (api=unary)", "api", "unary", "ABORTED")


@pytest.mark.parametrize("path", sorted((ROOT / "client" / "stream_client").rglob("*.py")), ids=lambda path: path.stem)
def test_only_the_command_line_names_flags(path: Path) -> None:
    folder = path.relative_to(ROOT / "client" / "stream_client").parts[0]
    if folder in ("cli", "embedded.py"):  # the latter starts the server by its command line
        return
    strings = re.findall(r'"[^"\n]*(?<![\w-])--[a-z]+_[a-z_]+[^"\n]*"', path.read_text("utf-8"))
    assert not strings


_LOGS = "import logging; logging.getLogger('x').warning('\\x1b[31mrtsp://me:secret@camera/')"


@pytest.mark.parametrize(
    "begun",
    [
        "from stream_client.cli.command import main; main(['--input_stream', 'none.mp4', '--grpc_address', 'a:1'])",
        "from stream_client.cli.fleet import main; main(['none.toml'])",
        "from stream_client.fleet.worker import main; main()",
    ],
    ids=["run", "fleet", "worker"],
)
def test_no_process_logs_a_password(begun: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", f"{begun}; {_LOGS}"],
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=110,
    )
    assert ended.stderr.splitlines()[-1] == "WARNING: rtsp://***@camera/", ended.stderr
