"""WHEP as an input, from aiortc's own peer in another process."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

if sys.version_info < (3, 11):
    pytest.skip("aiortc begins with Python 3.11", allow_module_level=True)

from stream_client.errors import ConfigurationError, SourceAuthenticationError, SourceError, SourceNotFoundError
from stream_client.sinks.video_file import FileSink
from stream_client.sources.factory import open_source
from stream_client.sources.whep import TOKEN_VARIABLE
from tests.conftest import ROOT
from tests.support.claps import Claps
from tests.support.numbered import Watched, open_reconnecting
from tests.support.ports import free_port
from tests.support.relay import relay
from tests.support.whep_server import WhepServer

TOKEN, PASSWORD = "a-token-of-mine", "a-password"


@pytest.fixture(scope="module")
def whep() -> Iterator[WhepServer]:
    with WhepServer("--token", TOKEN, "--login", f"me:{PASSWORD}") as server:
        yield server


def failure(name: str) -> SourceError:
    reader = open_reconnecting(name, reconnect_timeout=0, timeout=10)
    with pytest.raises(SourceError) as caught:
        reader.open()
    reader.close()
    return caught.value


def test_whep_is_read_by_number_and_on_when_its_server_comes_back(
    whep: WhepServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)
    with Watched(open_reconnecting(whep.url(), timeout=30)) as watched:
        assert (watched.info.live, watched.info.codec, watched.info.width) == (True, "h264", 320)
        numbers = watched.read(40)
        assert numbers == list(range(numbers[0], numbers[0] + 40))
        whep.kill()
        whep.start()
        numbers = watched.read_anew(40)
        assert numbers == list(range(numbers[0], numbers[0] + 40))
    assert watched.states == ["connecting", "live", "lost", "connecting", "live"]
    assert TOKEN not in caplog.text


def test_sound_of_whep_comes_along(whep: WhepServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)
    path = tmp_path / "out.mkv"
    times = relay(open_reconnecting(whep.url("claps"), timeout=30), FileSink(path), limit=75)
    claps = Claps(str(path), count=99)
    assert claps.codec == "aac"
    assert len(claps.heard) >= len(claps.seen) - 1 >= 2
    assert max(claps.heard) <= times[-1] + 0.1


def test_user_and_password_of_the_url_are_a_login(whep: WhepServer) -> None:
    with Watched(open_reconnecting(whep.url(login=f"me:{PASSWORD}@"), timeout=30)) as watched:
        watched.read(1)
    assert PASSWORD not in watched.info.name


def test_refusals_are_one_line_each(whep: WhepServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, "something-else")
    refused = failure(whep.url())
    assert isinstance(refused, SourceAuthenticationError)
    assert TOKEN_VARIABLE in str(refused)
    assert "something-else" not in str(refused)
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)
    assert isinstance(failure(whep.url("none")), SourceNotFoundError)
    assert "connection refused" in str(failure(f"whep://127.0.0.1:{free_port()}/live/whep"))


def test_a_password_does_not_go_out_in_clear_text() -> None:
    with pytest.raises(ConfigurationError, match="clear text") as refusal:
        open_source("whep://me:geheim@192.0.2.1/live/whep")
    assert "geheim" not in str(refusal.value)


def test_a_server_that_does_not_answer_holds_up_no_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"whep://127.0.0.1:{silent.getsockname()[1]}/live/whep"
        command = [sys.executable, "client.py", "--input_stream", url, "--output_stream", "none"]
        process = subprocess.Popen(
            [*command, "--source_timeout", "1000"], cwd=ROOT / "client", stderr=subprocess.DEVNULL
        )
        connection, _ = silent.accept()
        process.send_signal(signal.SIGINT)
        assert process.wait(50) == 128 + signal.SIGINT
        connection.close()
