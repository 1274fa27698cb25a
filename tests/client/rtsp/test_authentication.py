"""The examples of RFC 2617 (section 3.5), RFC 7616 (section 3.9.1) and RFC 7617 (section 2)."""

import re

import pytest

from stream_client.rtsp.authentication import Authenticator
from stream_client.util.urls import Credentials

OPAQUE = "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"
NONCE = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
RFC_7616 = (
    f'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={{}}, nonce="{NONCE}", opaque="{OPAQUE}"'
)


def response(header: str | None) -> str:
    assert header is not None
    found = re.search(r'response="(\w+)"', header)
    assert found is not None
    return found[1]


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_digest_with_quality_of_protection(algorithm: str, expected: str) -> None:
    own = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
    authenticator = Authenticator(Credentials("Mufasa", "Circle of Life"), nonce=lambda: own)
    assert authenticator.challenged([RFC_7616.format(algorithm)])
    header = authenticator.header("GET", "/dir/index.html")
    assert response(header) == expected
    assert header is not None
    assert "qop=auth, nc=00000001" in header
    assert f'opaque="{OPAQUE}"' in header
    assert "Circle" not in header


def test_digest_without_quality_of_protection() -> None:
    # RFC 2069, with the erratum's value.
    authenticator = Authenticator(Credentials("Mufasa", "CircleOfLife"))
    authenticator.challenged(['Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"'])
    assert response(authenticator.header("GET", "/dir/index.html")) == "1949323746fe6a43ef61f9606e7febea"


def test_basic() -> None:
    authenticator = Authenticator(Credentials("Aladdin", "open sesame"))
    assert authenticator.header("ANNOUNCE", "rtsp://host/x") is None
    assert authenticator.challenged(['Basic realm="x"'])
    assert authenticator.header("ANNOUNCE", "rtsp://host/x") == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="


def test_the_strongest_challenge_is_answered() -> None:
    authenticator = Authenticator(Credentials("me", "x"))
    digests = [f'Digest realm="r", nonce="n", algorithm={name}' for name in ("MD5", "SHA-256", "SHA-512")]
    assert authenticator.challenged(['Basic realm="r"', *digests])
    assert "algorithm=SHA-256" in str(authenticator.header("SETUP", "rtsp://host/x"))
    assert not authenticator.challenged(["Bearer x"])
