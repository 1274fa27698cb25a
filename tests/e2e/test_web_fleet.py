"""The Fleet part of the page in a real browser, and its API, with a fleet that runs beside the application."""

from pathlib import Path
from typing import Any

from stream_client.fleet.plan import read_plans
from stream_client.web.options import WebOptions
from tests.client.fleet.test_fleet import running_fleet
from tests.client.fleet.test_workers import SOURCE, written
from tests.support.browser import browser_page
from tests.support.waiting import wait_until
from tests.support.web_application import Application, web_application


def streams(web: Application) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in web.http.get("/api/fleet").json()["streams"]}


def test_the_streams_of_a_fleet_are_watched_steered_and_added(tmp_path: Path, pass_through_server: str) -> None:
    path = written(tmp_path / "streams.toml", pass_through_server, "one", "two")
    with web_application(options=WebOptions(port=0, fleet=path)) as web, browser_page() as page:
        with web_application() as without:
            page.goto(f"{without.url}/#fleet")
            page.get_by_text("no fleet is shown: start the application with fleet").wait_for()
            assert not page.locator("#fleet form").is_visible()
        page.goto(f"{web.url}/#fleet")
        page.get_by_text("No fleet runs with this file now").wait_for()
        one = page.locator("article").filter(has=page.get_by_role("heading", name="one:"))
        two = page.locator("article").filter(has=page.get_by_role("heading", name="two:"))
        assert one.get_by_role("heading").inner_text() == "one: not running"
        assert web.http.get("/api/fleet").json()["runs"] is False
        two.get_by_role("button", name="Remove").click()
        two.get_by_role("heading", name="two: removed").wait_for()
        with running_fleet(path):
            one.get_by_role("heading", name="one: running").wait_for()
            assert web.http.get("/api/fleet").json()["runs"] is True
            assert (streams(web)["one"]["state"], streams(web)["two"]["state"]) == ("running", "")
            assert web.http.get("/api/fleet/one/frame.jpg").status_code == 404
            one.get_by_role("button", name="Look").click()
            picture = one.get_by_alt_text("the newest frame of one")
            wait_until(lambda: picture.evaluate("image => image.naturalWidth") == 160)
            one.get_by_role("button", name="Pause").click()
            two.get_by_role("button", name="Go on").click()
            page.locator("#fleet input[name=name]").fill("three")
            page.locator("#fleet input[name=input_stream]").fill(SOURCE)
            page.get_by_role("button", name="Add", exact=True).click()
            one.get_by_role("heading", name="one: paused").wait_for()
            page.get_by_role("heading", name="three: running").wait_for()
            wait_until(lambda: streams(web)["two"]["delivered"] > 5 and streams(web)["three"]["delivered"] > 5)
            page.get_by_role("button", name="Add", exact=True).click()
            page.get_by_text("there is a stream 'three' already").wait_for()
        assert [plan.name for plan in read_plans(path)] == ["one", "two", "three"]
