"""Credentials in URLs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_client.util.redact import redact
from stream_client.util.urls import Credentials, split_credentials, with_credentials


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


def test_secrets_in_a_query_are_redacted() -> None:
    assert redact("http://host/a.m3u8?x=1&token=geheim&y=2") == "http://host/a.m3u8?x=1&token=***&y=2"
