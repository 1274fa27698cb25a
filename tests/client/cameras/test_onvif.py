"""ONVIF cameras: a device of this machine, found, asked and read."""

import json
import threading
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from stream_client import open_source
from stream_client.cameras.onvif import discover
from stream_client.errors import ConfigurationError, SourceAuthenticationError, SourceError, SourceNotFoundError
from stream_client.util.urls import CREDENTIALS_VARIABLE
from tests.support.client import run_client
from tests.support.onvif_device import OnvifDevice, announced
from tests.support.rtsp_server import PATTERN, RtspServer

USER, PASSWORD = "me", "p@ss/w"


@pytest.fixture(scope="module")
def rtsp() -> Iterator[RtspServer]:
    with RtspServer(play={"main": PATTERN, "low": PATTERN}, credentials=(USER, PASSWORD)) as server:
        yield server


@pytest.fixture
def device(rtsp: RtspServer) -> Iterator[OnvifDevice]:
    streams = {"Main": rtsp.url("main"), "Low res": rtsp.url("low")}
    with OnvifDevice(streams, user=USER, password=PASSWORD) as made:
        yield made


def address(device: OnvifDevice, query: str = "", password: str = PASSWORD) -> str:
    return f"onvif://{USER}:{quote(password, safe='')}@{device.host}{query}"


@pytest.mark.parametrize("query", ["", "?profile=Low%20res"])
def test_a_camera_is_read_by_its_own_address_with_its_credentials(device: OnvifDevice, query: str) -> None:
    source = open_source(address(device, query))
    try:
        info = source.open()
        assert info.live
        assert source.read() is not None
        assert PASSWORD not in info.name
    finally:
        source.close()


def test_credentials_come_from_the_environment(device: OnvifDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CREDENTIALS_VARIABLE, address(device))
    source = open_source(f"onvif://{device.host}")
    source.open()
    source.close()


def test_wrong_credentials_are_named_and_not_tried_again(device: OnvifDevice) -> None:
    source = open_source(address(device, password="wrong"))
    with pytest.raises(SourceAuthenticationError, match="refuses the credentials") as failure:
        source.open()
    assert "wrong" not in str(failure.value)
    source.close()


def test_a_profile_that_is_not_there_is_named_with_those_that_are(device: OnvifDevice) -> None:
    source = open_source(address(device, "?profile=Night"), reconnect_timeout=0)
    with pytest.raises(SourceNotFoundError, match="no profile 'Night', only Main, Low res"):
        source.open()
    source.close()


@pytest.mark.parametrize("nonsense", [b"<html>hello</html>", b"\xff\xfe", b"<a>" * 100_000])
def test_a_device_that_speaks_something_else_is_one_line(nonsense: bytes) -> None:
    with OnvifDevice({}, nonsense=nonsense) as device:
        source = open_source(f"onvif://{device.host}", reconnect_timeout=0)
        with pytest.raises(SourceError, match=r"does not answer as an ONVIF camera: .{0,1100}$"):
            source.open()
        source.close()


def test_a_device_without_a_stream_says_so() -> None:
    with OnvifDevice({}) as device:
        source = open_source(f"onvif://{device.host}", reconnect_timeout=0)
        with pytest.raises(SourceNotFoundError, match="no profile with a stream"):
            source.open()
        source.close()


def test_nobody_there_is_one_line_and_a_stop_ends_the_waiting() -> None:
    source = open_source("onvif://127.0.0.1:9", reconnect_timeout=0)
    with pytest.raises(SourceError, match=r"onvif://127\.0\.0\.1:9 does not answer"):
        source.open()
    source.close()
    # An address of nobody: packets to it are lost.
    waiting = open_source("onvif://192.0.2.255")
    ended = threading.Event()

    def open_it() -> None:
        with pytest.raises(SourceError):
            waiting.open()
        ended.set()

    thread = threading.Thread(target=open_it)
    thread.start()
    waiting.interrupt()
    assert ended.wait(5)
    thread.join()
    waiting.close()


def test_an_address_without_a_host_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no URL"):
        open_source("onvif://")


def test_a_device_that_announces_itself_is_found_and_listed(
    device: OnvifDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CREDENTIALS_VARIABLE, address(device))
    with announced(device, "Front%20door"):
        (found,) = [one for one in discover(2) if one.address.endswith(device.host)]
        assert (found.address, found.name) == (f"onvif://{device.host}", "Front door")
        listed = run_client("cameras", "--no_local", "--seconds", "2")
    assert listed.returncode == 0, listed.stderr
    assert f"onvif://{device.host} " in listed.stdout
    assert f"onvif://{device.host}?profile=Low%20res" in listed.stdout
    assert "H264 640x480 at 15/s" in listed.stdout
    assert PASSWORD not in listed.stdout


def test_cameras_that_refuse_are_listed_with_the_reason(device: OnvifDevice) -> None:
    listed = run_client("cameras", "--no_local", "--seconds", "0.1", "--onvif_address", device.host, "--json")
    assert listed.returncode == 0, listed.stderr
    (camera,) = [one for one in json.loads(listed.stdout) if one["input_stream"].endswith(device.host)]
    assert camera["modes"] == []
    assert "refuses the credentials" in camera["problem"]
