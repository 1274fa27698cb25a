"""SRT as an input, from ffmpeg as listener and as caller."""

import re
from pathlib import Path

import pytest

from stream_client.errors import ConfigurationError, SourceAuthenticationError, SourceError, SourceTimeoutError
from stream_client.sources.factory import open_source
from stream_client.sources.libsrt import has_srt
from tests.support.missing import missing
from tests.support.numbered import Sender, Watched, follows, numbered_video, open_reconnecting
from tests.support.ports import free_port

SECRET = "a-secret-of-mine"


@pytest.fixture(scope="module", autouse=True)
def libsrt() -> None:
    if not has_srt():
        missing("libsrt", "apt-get install ffmpeg")


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return numbered_video(tmp_path_factory.mktemp("numbered") / "video.ts")


@pytest.mark.parametrize(("theirs", "ours"), [("&mode=listener", ""), ("", "&mode=listener")])
def test_srt_is_read_by_number_and_on_when_the_other_side_comes_back(
    video: Path, theirs: str, ours: str, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"srt://127.0.0.1:{free_port()}?passphrase={SECRET}"
    with Sender(video, "-f", "mpegts", url + theirs) as sender, Watched(open_reconnecting(url + ours)) as watched:
        assert watched.info.live
        assert follows(watched.read(20))
        sender.kill()
        sender.start()
        assert follows(watched.read_anew(20))
    assert watched.states[:4] == ["connecting", "live", "lost", "connecting"]
    assert SECRET not in caplog.text + watched.info.name


@pytest.mark.parametrize(
    ("ours", "words"), [("?passphrase=something-else", "passphrase is wrong"), ("", "one side has a passphrase")]
)
def test_a_passphrase_that_does_not_fit_ends_the_run_in_one_line(video: Path, ours: str, words: str) -> None:
    address = f"srt://127.0.0.1:{free_port()}"
    with Sender(video, "-f", "mpegts", f"{address}?mode=listener&passphrase={SECRET}"):
        for _ in range(100):
            reader = open_reconnecting(address + ours, timeout=2, reconnect_timeout=0)
            with pytest.raises(SourceError) as caught:
                reader.open()
            reader.close()
            if isinstance(caught.value, SourceAuthenticationError):
                break
    assert words in str(caught.value)
    assert "something-else" not in str(caught.value)


def test_nobody_at_the_address_and_no_caller_are_one_line_each() -> None:
    for ours, kind, words in (
        ("", SourceError, "nobody answers there"),
        ("?mode=listener", SourceTimeoutError, "nobody called"),
    ):
        reader = open_reconnecting(f"srt://127.0.0.1:{free_port()}{ours}", timeout=0.5, reconnect_timeout=0)
        with pytest.raises(kind, match=words):
            reader.open()
        reader.close()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("srt://host", "no port"),
        ("srt://host:1?passphrase=short", "10 to 79 characters"),
        ("srt://host:1?color=red", "unknown color"),
        ("srt://host:1?mode=rendezvous", "caller or listener"),
        ("srt://host:1?latency=soon", "number of microseconds"),
        ("srt://192.0.2.1:1?mode=listener", "no address of this machine"),
    ],
)
def test_an_address_that_cannot_work_is_refused_at_once(name: str, text: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(text)) as refusal:
        open_source(name)
    assert refusal.value.option == "source"
