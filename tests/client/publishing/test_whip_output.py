"""Publishing by WHIP to aiortc's own peer."""

import sys
from collections.abc import Iterator

import pytest

if sys.version_info < (3, 11):
    pytest.skip("aiortc begins with Python 3.11", allow_module_level=True)

from stream_client.publishing.publisher import PublishingSink
from stream_client.publishing.whip import TOKEN_VARIABLE
from stream_client.sinks.factory import open_sink
from tests.support.claps import Tones, clap
from tests.support.show import Show, assert_similar
from tests.support.video import picture
from tests.support.whip_server import WhipServer

TOKEN = "a-token-of-mine"


@pytest.fixture
def whip() -> Iterator[WhipServer]:
    with WhipServer(TOKEN) as server:
        yield server


def sink(url: str) -> PublishingSink:
    made = open_sink(url)
    assert isinstance(made, PublishingSink)
    return made


def test_whip_is_watched_and_a_session_that_is_cut_is_begun_again(
    whip: WhipServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)
    with Show(sink(whip.url), picture(20)) as show:
        show.wait_for("live")
        assert_similar(whip.wait_for_frame(), picture(20))
        whip.cut()
        show.wait_for("live", "lost", "live")
        assert_similar(whip.wait_for_frame(), picture(20))
    assert whip.deleted == 2


@pytest.mark.parametrize("encoder", ["libopus", "aac"])
def test_sound_comes_along_by_whip_as_opus(whip: WhipServer, monkeypatch: pytest.MonkeyPatch, encoder: str) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)
    with Show(sink(whip.url), clap, Tones(encoder)) as show:
        show.wait_for("live")
        whip.wait_for_tones(2)
        whip.wait_for_frame()


def test_a_wrong_token_of_whip_ends_the_run_and_is_shown_nowhere(
    whip: WhipServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, "something-else")
    with Show(sink(whip.url)) as show:
        assert "bearer token" in str(show.failure())
    assert "something-else" not in caplog.text + str(show.error)
