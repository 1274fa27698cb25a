"""Videos that are fetched, from a server that answers as Pexels documents."""

import time
from pathlib import Path

import numpy as np
import pytest

from stream_client.distill.collection import collect
from stream_client.distill.options import DistillOptions
from stream_client.distill.providers.base import fetched
from stream_client.distill.providers.factory import FetchOptions, open_provider
from stream_client.distill.providers.pexels import Pexels
from stream_client.errors import ConfigurationError, SourceAuthenticationError, SourceError, StreamClientError
from tests.support.pexels import KEY, pexels_server
from tests.support.puppet import PuppetTeacher, write_bars

VIDEOS = {f"v{number}": Path("/nowhere") for number in range(7)}


def names(videos: object) -> list[str]:
    return [video.url.rpartition("/")[2] for video in videos]  # type: ignore[attr-defined]


def test_a_search_goes_on_over_pages_and_begins_anew_after_the_last() -> None:
    with pexels_server(VIDEOS) as server:
        pexels = Pexels(KEY, address=server.search, per_page=3)
        first = pexels.search("yoga pose", 5)
        assert names(first) == ["v0", "v1", "v2", "v3", "v4"]
        assert (first[0].author, first[0].page) == ("Ruvim", "https://www.pexels.com/video/v0/")
        assert names(pexels.search("yoga pose", 5)) == ["v5", "v6"]
        assert names(pexels.search("yoga pose", 2)) == ["v0", "v1"]
        assert names(pexels.search("run & jump", 1)) == ["v0"]
    assert [(asked["query"], asked["page"], asked["per_page"]) for asked in server.asked] == [
        *(("yoga pose", "1", "3"), ("yoga pose", "2", "3"), ("yoga pose", "3", "3"), ("yoga pose", "1", "2")),
        ("run & jump", "1", "1"),
    ]


def test_what_is_busy_is_asked_again_and_what_stays_so_is_named() -> None:
    with pexels_server(VIDEOS, (503, {}), (500, {}), (429, {"Retry-After": "0"})) as server:
        assert len(Pexels(KEY, address=server.search, first_delay=0.01).search("yoga", 2)) == 2
        assert len(server.asked) == 4
        server.answers = [(502, {})] * 10
        with pytest.raises(SourceError, match=r"answers 502 .*, 4 times"):
            Pexels(KEY, address=server.search, first_delay=0.01).search("yoga", 2)
    with pytest.raises(SourceError, match="cannot be reached"):
        Pexels(KEY, address=server.search, first_delay=0.01).search("yoga", 2)


def test_the_rate_limit_is_kept() -> None:
    with pexels_server(VIDEOS) as server:
        server.limit_left = 1
        pexels = Pexels(KEY, address=server.search)
        pexels.search("yoga", 2)
        with pytest.raises(SourceError, match=r"limit of requests is used up for (59|60) minutes"):
            pexels.search("run", 2)
        assert len(server.asked) == 1  # a request that would be refused is not sent
        server.reset, server.limit_left = int(time.time()) + 2, 1
        waiting = Pexels(KEY, address=server.search)
        waiting.search("yoga", 2)
        server.limit_left = 200
        waiting.search("run", 2)
        assert time.time() >= server.reset
        server.answers = [(429, {"Retry-After": "7200"})]
        with pytest.raises(SourceError, match="used up for 120 minutes"):
            Pexels(KEY, address=server.search).search("yoga", 2)


def test_a_key_that_is_refused_is_not_shown() -> None:
    with (
        pexels_server(VIDEOS) as server,
        pytest.raises(SourceAuthenticationError, match="Pexels refuses the key: see PEXELS_API_KEY") as refused,
    ):
        Pexels("wrong-key", address=server.search).search("yoga", 2)
    assert "wrong-key" not in str(refused.value)
    with pytest.raises(ConfigurationError, match="odd characters"):
        Pexels("a\r\nb")


@pytest.mark.parametrize("page", [[1], {"error": "x"}, {"videos": "none"}])
def test_an_answer_of_something_else_is_said(page: object) -> None:
    with pexels_server(VIDEOS) as server:
        server.page = lambda given: page  # type: ignore[method-assign,assignment,return-value]
        with pytest.raises(SourceError, match="is it Pexels' API"):
            Pexels(KEY, address=server.search).search("yoga", 2)


def test_odd_entries_are_left_out() -> None:
    with pexels_server(VIDEOS) as server:
        whole = server.page({"page": "1", "per_page": "1"})["videos"][0]
        page = {"videos": [None, {"id": 1}, {"video_files": [{"link": "file:///etc/passwd"}]}, whole]}
        server.page = lambda given: page  # type: ignore[method-assign]
        assert names(Pexels(KEY, address=server.search).search("yoga", 5)) == ["v0"]


def test_the_key_comes_from_the_environment_or_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PEXELS_API_KEY", raising=False)
    with pexels_server(VIDEOS) as server:
        options = FetchOptions("pexels", ("yoga",), n=2, fetch_address=server.search)
        with pytest.raises(ConfigurationError, match="Pexels needs a key"):
            open_provider(options, tmp_path)
        (tmp_path / ".env").write_text(f"# keys\nexport PEXELS_API_KEY='{KEY}'\n")
        assert len(open_provider(options, tmp_path).search("yoga", 2)) == 2
        monkeypatch.setenv("PEXELS_API_KEY", "another")
        with pytest.raises(SourceAuthenticationError):
            open_provider(options, tmp_path).search("yoga", 2)


def test_fetched_videos_are_learnt_from_and_half_a_one_is_skipped(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    videos = {name: write_bars(tmp_path / name, list(rng.uniform(-3, 3, 40))) for name in ("a.mp4", "b.mp4", "c.mp4")}
    with pexels_server(videos) as server:
        server.cut.add("b.mp4")
        streams = fetched(Pexels(KEY, address=server.search), ["yoga pose"], 5)
        with collect(streams, PuppetTeacher(), DistillOptions()) as collection:
            assert collection.producer.wait(60)
            assert collection.producer.error is None
            used = collection.producer.used
            failed = collection.producer.failed
    assert [stream.name for stream in used if stream.name.endswith(("a.mp4/", "c.mp4/"))] == [
        *("https://www.pexels.com/video/c.mp4/", "https://www.pexels.com/video/a.mp4/"),
    ]
    assert (used[0].use, used[0].credit) == ("hold_out", "Ruvim on Pexels")
    assert [each.name for each in failed] == ["https://www.pexels.com/video/b.mp4/"]


def test_nothing_found_is_said() -> None:
    with (
        pexels_server({}) as server,
        collect(fetched(Pexels(KEY, address=server.search), ["xyz"], 5), PuppetTeacher(), DistillOptions()) as found,
        pytest.raises(StreamClientError, match="Pexels has no video for xyz: use other words"),
    ):
        found.wait(1)


def test_words_and_provider_go_together() -> None:
    with pytest.raises(ConfigurationError, match=r"\(queries\)"):
        FetchOptions("pexels")
    with pytest.raises(ConfigurationError, match=r"\(fetch\)"):
        FetchOptions(queries=("yoga",))
