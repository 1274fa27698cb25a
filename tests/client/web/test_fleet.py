"""A fleet that runs beside the application: shown and steered."""

from pathlib import Path
from typing import Any

from stream_client.web.options import WebOptions
from tests.client.fleet.test_fleet import running_fleet
from tests.client.fleet.test_workers import written
from tests.support.waiting import wait_until
from tests.support.web_application import Application, web_application


def streams(web: Application) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in web.http.get("/api/fleet").json()["streams"]}


def test_a_fleet_is_shown_and_steered(tmp_path: Path, pass_through_server: str) -> None:
    path = written(tmp_path / "streams.toml", pass_through_server, "one", "two")
    with web_application(options=WebOptions(port=0, fleet=path)) as web:
        assert web.http.get("/api/fleet").json()["runs"] is False
        assert web.http.post("/api/fleet/two/remove").json()["streams"][1]["wanted"] == "removed"
        with running_fleet(path):
            wait_until(lambda: streams(web)["one"]["delivered"] > 5)
            assert web.http.get("/api/fleet").json()["runs"] is True
            assert (streams(web)["one"]["state"], streams(web)["two"]["state"]) == ("running", "")
            web.http.post("/api/fleet/one/pause")
            web.http.post("/api/fleet/two/resume")
            wait_until(lambda: streams(web)["one"]["state"] == "paused" and streams(web)["two"]["delivered"] > 5)


def test_what_cannot_be_steered_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "streams.toml", "localhost:1", "one")
    with web_application(options=WebOptions(port=0, fleet=path)) as web:
        answer = web.http.post("/api/fleet/three/pause")
        assert (answer.status_code, answer.json()["detail"]) == (400, "there is no stream 'three' in the file: one")
        assert web.http.post("/api/fleet/one/explode").status_code == 422
    with web_application() as web:
        answer = web.http.get("/api/fleet")
        assert (answer.status_code, answer.json()["option"]) == (400, "fleet")
