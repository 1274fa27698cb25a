"""Credentials in URLs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_client.errors import ConfigurationError
from stream_client.sinks.factory import open_sink
from stream_client.sources.factory import open_source
from stream_client.transport.options import TransportOptions
from stream_client.util.redact import redact
from stream_client.util.stream_names import numbered
from stream_client.util.urls import (
    CREDENTIALS_VARIABLE,
    Credentials,
    check_clear_text,
    check_url,
    credentials_for,
    in_ascii,
    same_place,
    same_server,
    split_credentials,
    with_credentials,
)


@pytest.mark.parametrize(
    ("url", "bare", "credentials"),
    [
        ("rtsp://host/x", "rtsp://host/x", None),
        ("rtsp://host:554/cam@home", "rtsp://host:554/cam@home", None),
        ("rtsp://me:geheim@host/x", "rtsp://host/x", ("me", "geheim")),
        ("rtsp://me:geheim@host/cam@home", "rtsp://host/cam@home", ("me", "geheim")),
        ("rtsp://me:p%40ss%2Fw@host:8554/x", "rtsp://host:8554/x", ("me", "p@ss/w")),
        ("rtsp://me:p@ss@host/x", "rtsp://host/x", ("me", "p@ss")),
        ("rtsp://me:pa/ss@host/x", "rtsp://host/x", ("me", "pa/ss")),
        ("rtsp://me:pa?s#s@host/x", "rtsp://host/x", ("me", "pa?s#s")),
        ("rtsp://me@[::1]:554/x", "rtsp://[::1]:554/x", ("me", "")),
        ("in.mp4", "in.mp4", None),
    ],
)
def test_credentials_are_found(url: str, bare: str, credentials: tuple[str, str] | None) -> None:
    expected = None if credentials is None else Credentials(*credentials)
    assert split_credentials(url) == (bare, expected)


def test_credentials_are_percent_encoded_for_ffmpeg() -> None:
    assert with_credentials("rtsp://me:pa/ss@host/x") == "rtsp://me:pa%2Fss@host/x"


def test_credentials_are_not_shown_by_their_repr() -> None:
    assert "geheim" not in repr(Credentials("me", "geheim"))


@given(st.text(st.characters(exclude_categories=["Z", "C"]), min_size=3))
def test_no_password_survives_redaction(password: str) -> None:
    text = redact(f"cannot open rtsp://me:{password}@host/x: refused")
    assert text == "cannot open rtsp://***@host/x: refused"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://host/a.m3u8?x=1&token=geheim&y=2", "http://host/a.m3u8?x=***&token=***&y=***"),
        ("rtsp://host/x?jwt=geheim: refused", "rtsp://host/x?jwt=***: refused"),
        ("rtsp://host/x?geheim", "rtsp://host/x?***"),
        ("srt://host:9000?passphrase=geheim&mode=caller", "srt://host:9000?passphrase=***&mode=***"),
        ("rtmp://host/live/geheim", "rtmp://host/live/***"),
        ("publishing to rtmps://me:geheim@host/live/geheim/, then", "publishing to rtmps://***@host/live/***, then"),
        ("rtmp://host/geheim?key=geheim", "rtmp://host/***?key=***"),
        ("(wheps://me:geheim@host/geheim/play?x=geheim)", "(wheps://***@host/***?x=***)"),
        ("WHIP://host:80/geheim/whip: refused", "WHIP://host:80/***: refused"),
        ("rtsp:/me:geheim@host/x", "rtsp:/***@host/x"),
        ("me:geheim/t@host:9000", "***@host:9000"),
        ("mail me@home at 12:30", "mail me@home at 12:30"),
        ("input testsrc:640x360@15, paced", "input testsrc:640x360@15, paced"),
        ("testsrc:640x360@max", "testsrc:640x360@max"),
        ("testsrc:640x360@host", "***@host"),
    ],
)
def test_secrets_of_every_kind_are_redacted(text: str, shown: str) -> None:
    assert redact(text) == shown


@pytest.mark.parametrize(
    ("url", "user"),
    [
        ("rtsp://camera/1", "viewer"),
        ("rtsp://CAMERA:554/1", "viewer"),
        ("rtsp://camera:8554/1", None),
        ("rtsps://camera/1", None),
        ("rtsp://camera.evil/1", None),
        ("rtsp://media:8554/live/in", "reader"),
        ("rtsp://media:8554/live/out", "publisher"),
        ("rtsp://media:8554/live/outside", "reader"),
        ("rtsp://media:8554/other", None),
        ("rtsp://own:pw@camera/1", "own"),
    ],
)
def test_credentials_of_the_environment_go_only_where_they_belong(
    url: str, user: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = "rtsp://viewer:a@camera rtsp://reader:b@media:8554/live rtsp://publisher:c@media:8554/live/out nonsense"
    monkeypatch.setenv(CREDENTIALS_VARIABLE, entries)
    found = credentials_for(url)
    assert (None if found is None else found.user) == user


@pytest.mark.parametrize(
    "url",
    [
        "rtsp://host/x\r\nX-Injected: yes",
        "rtsp://host/x\n",
        "rtsp://me:p\rw@host/x",
        "rtsp://host/a b",
        "rtsp://host:99999/x",
    ],
)
def test_urls_that_would_end_a_line_of_a_request_are_refused(url: str) -> None:
    for opened in (open_source, open_sink):
        with pytest.raises(ConfigurationError, match="is no URL") as caught:
            opened(url)
        assert "\n" not in str(caught.value)
    with pytest.raises(ConfigurationError):
        check_url(url)


@pytest.mark.parametrize("url", ["rtsp:/me:geheim@host/x", "rtsp:me:geheim@host/x", "http:/me:geheim@host/x.mp4"])
def test_a_url_without_its_two_slashes_is_no_file_and_shows_no_password(url: str) -> None:
    for opened in (open_source, open_sink):
        with pytest.raises(ConfigurationError, match="two slashes follow the scheme") as caught:
            opened(url)
        assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    "address", ["me:geheim/t@host:9000", "me:geheim@host:9000", "host:90\n00", "geheim @host:9000"]
)
def test_a_servers_address_has_no_credentials_and_shows_none(address: str) -> None:
    with pytest.raises(ConfigurationError, match="is not an address") as caught:
        TransportOptions(address)
    assert "me:geheim" not in str(caught.value)


def test_no_password_goes_unencrypted_to_another_machine() -> None:
    check_clear_text("https://me:geheim@host/x")
    check_clear_text("http://me:geheim@127.0.0.1/x")
    check_clear_text("http://host/x")
    with pytest.raises(ConfigurationError, match="in clear text: use https://") as caught:
        check_clear_text("http://me:geheim@host/x")
    assert "geheim" not in str(caught.value)


def test_servers_are_told_apart_by_scheme_host_and_port() -> None:
    assert same_server("rtsp://host/a", "RTSP://HOST:554/b")
    assert not same_server("rtsp://host/a", "rtsps://host/a")
    assert not same_server("rtsp://host/a", "rtsp://host:5540/a")


def test_streams_are_told_apart_by_server_path_and_query() -> None:
    assert same_place("rtsp://me:geheim@host/a?x=1", "RTSP://HOST:554/a?x=1")
    assert not same_place("rtsp://host/a", "rtsp://host/A")
    assert not same_place("srt://host:1?streamid=a", "srt://host:1?streamid=b")
    assert not same_place("rtsp://[x", "rtsp://host/a")


def test_addresses_that_look_alike_without_their_secrets_are_numbered() -> None:
    shown = [redact(url) for url in ("whip://host/a/whip", "rtsp://host/x", "whip://host/b/whip")]
    assert numbered(shown) == ["whip://host/***", "rtsp://host/x", "whip://host/*** (2)"]


def test_text_without_a_scheme_is_told_how_urls_begin() -> None:
    with pytest.raises(ConfigurationError, match=r"pexels\.local is no URL: it begins with http:// or the like"):
        check_url("pexels.local")


@pytest.mark.parametrize(
    ("url", "ascii_url"),
    [
        ("http://host:80/a b/é?q=ü&r=%20#ö", "http://host:80/a%20b/%C3%A9?q=%C3%BC&r=%20#%C3%B6"),
        ("http://straße/straße", "http://straße/stra%C3%9Fe"),
        ("http://host/a+(b)~;c=$1,'*!", "http://host/a+(b)~;c=$1,'*!"),
        ("http://host/\udcff", "http://host/%FF"),
        ("http://host", "http://host"),
    ],
)
def test_the_path_of_an_address_is_in_ascii(url: str, ascii_url: str) -> None:
    assert in_ascii(url) == ascii_url
