"""Many streams in one process, with a real graph server and a real RTSP server."""

import io
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from PIL import Image

from stream_client.cli.fleet import main as fleet_command
from stream_client.cli.fleet_tables import status_table
from stream_client.errors import ConfigurationError
from stream_client.fleet.fleet import Fleet
from stream_client.fleet.plan import StreamPlan, parse_plans, read_plans
from stream_client.fleet.states import FleetStates
from stream_client.fleet.supervised import StreamStatus
from tests.support.client import run_here
from tests.support.kserve_server import ScriptedServer, image_and_label
from tests.support.ports import free_port
from tests.support.rtsp_server import PATTERN, RtspServer
from tests.support.video import write_video
from tests.support.waiting import wait_until


@pytest.fixture
def rtsp() -> Iterator[RtspServer]:
    with RtspServer(play={"a": PATTERN, "b": PATTERN}) as server:
        yield server


def plan(name: str, source: str, address: str, **settings: object) -> StreamPlan:
    given = {"input_stream": source, "grpc_address": address, "model_name": "passThrough", "output_stream": "none"}
    return StreamPlan(name, {**given, **settings})


def status(fleet: Fleet, name: str) -> StreamStatus:
    (found,) = [each for each in fleet.status() if each.name == name]
    return found


def test_a_stream_that_fails_is_started_again_and_harms_no_other(rtsp: RtspServer, pass_through_server: str) -> None:
    with Fleet() as fleet:
        fleet.add(plan("good", rtsp.url("a"), pass_through_server))
        fleet.add(plan("away", rtsp.url("nothing"), pass_through_server, reconnect_timeout=0))
        fleet.add(plan("no graph", "testsrc:160x120@10", pass_through_server, model_name="other"))
        wait_until(lambda: status(fleet, "away").restarts >= 1 and status(fleet, "no graph").restarts >= 1)
        wait_until(lambda: status(fleet, "good").delivered > 20)
        assert "nobody publishes there" in status(fleet, "away").problem
        assert "no model or graph named 'other'" in status(fleet, "no graph").problem
        assert status(fleet, "good").restarts == 0
        assert any("again in" in text for _, text in fleet.history("away"))


def test_a_file_ends_and_its_ledger_adds_up(tmp_path: Path, pass_through_server: str) -> None:
    clip = write_video(tmp_path / "clip.mp4", frames=30)
    labels = tmp_path / "labels.jsonl"
    with Fleet() as fleet:
        fleet.add(plan("file", str(clip), pass_through_server, labels_output=str(labels)))
        wait_until(lambda: status(fleet, "file").state == "ended")
        found = status(fleet, "file")
        assert (found.delivered, found.dropped, found.failed) == (30, 0, 0)
    assert len(labels.read_text().splitlines()) == 30


def test_streams_are_changed_as_a_difference(rtsp: RtspServer, pass_through_server: str) -> None:
    first = plan("a", rtsp.url("a"), pass_through_server)
    with Fleet() as fleet:
        assert fleet.apply([first, plan("b", rtsp.url("b"), pass_through_server)]) == {}
        wait_until(lambda: all(each.delivered > 5 for each in fleet.status()))
        untouched = fleet.history("a")
        problems = fleet.apply([first, plan("c", rtsp.url("b"), pass_through_server, labels="missing.txt")])
        assert "missing.txt" in problems["c"]
        assert [each.name for each in fleet.status()] == ["a"]
        assert fleet.history("a")[: len(untouched)] == untouched
        changed = plan("a", rtsp.url("a"), pass_through_server, max_side=64)
        fleet.apply([changed])
        wait_until(lambda: status(fleet, "a").delivered > 5)
        with pytest.raises(ConfigurationError, match="already"):
            fleet.add(changed)
        fleet.remove("a")
        assert fleet.status() == []


def test_a_paused_stream_takes_no_frame(rtsp: RtspServer, pass_through_server: str) -> None:
    with Fleet() as fleet:
        fleet.add(plan("a", rtsp.url("a"), pass_through_server))
        wait_until(lambda: status(fleet, "a").delivered > 5)
        fleet.pause("a")
        wait_until(lambda: status(fleet, "a").dropped > 5)
        before = status(fleet, "a")
        assert before.state == "paused"
        wait_until(lambda: status(fleet, "a").dropped > before.dropped + 5)
        assert status(fleet, "a").delivered <= before.delivered + 4
        fleet.resume("a")
        wait_until(lambda: status(fleet, "a").delivered > before.delivered + 10)


def test_the_newest_label_is_known_and_pictures_are_made_while_somebody_looks(server: ScriptedServer) -> None:
    server.outputs, server.script = ["output", "label_scores"], image_and_label
    with Fleet() as fleet:
        fleet.add(plan("a", "testsrc:1280x720@15", server.address, model_name="graph"))
        wait_until(lambda: status(fleet, "a").label)
        assert status(fleet, "a").score == 0.75
        assert fleet.pictures() == {}
        fleet.look({"a"})
        wait_until(lambda: "a" in fleet.pictures())
        with Image.open(io.BytesIO(fleet.pictures()["a"])) as picture:
            assert picture.size == (640, 360)
        fleet.look(())
        assert fleet.pictures() == {}


def test_the_command_takes_changes_of_its_file_and_ends_at_a_signal(tmp_path: Path, pass_through_server: str) -> None:
    path = tmp_path / "streams.toml"
    defaults = (
        f'[defaults]\ngrpc_address = "{pass_through_server}"\nmodel_name = "passThrough"\n'
        f'labels_output = "{tmp_path}/{{stream}}.jsonl"\n'
    )
    stream = '[streams.{}]\ninput_stream = "testsrc:160x120@15"\n'
    path.write_text(defaults + stream.format("one"))
    command = [sys.executable, "-m", "stream_client", "fleet", str(path), "--status_every", "1"]
    fleet = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        wait_until((tmp_path / "one.jsonl").exists)
        os.replace(_written(tmp_path / "new.toml", defaults + stream.format("one") + stream.format("two")), path)
        wait_until((tmp_path / "two.jsonl").exists)
        os.replace(_written(tmp_path / "new.toml", "[streams"), path)
        assert fleet.stderr is not None
        wait_until(lambda: "not taken" in str(fleet.stderr.readline() if fleet.stderr else ""))
        fleet.send_signal(signal.SIGINT)
        _, text = fleet.communicate(timeout=20)
    finally:
        fleet.kill()
        fleet.wait()
    assert fleet.returncode == 0
    assert "Traceback" not in text
    assert "two" in text


def test_what_is_paused_and_removed_stays_so_over_a_restart(tmp_path: Path, pass_through_server: str) -> None:
    path = tmp_path / "streams.toml"
    path.write_text(
        f'[defaults]\ngrpc_address = "{pass_through_server}"\nmodel_name = "passThrough"\noutput_stream = "none"\n'
        + "".join(f'[streams.{name}]\ninput_stream = "testsrc:160x120@15"\n' for name in ("one", "two", "three"))
    )
    with FleetStates(path.with_suffix(".state.sqlite")) as states:

        def shown() -> dict[str, StreamStatus]:
            streams, reported = states.status()
            return {each.name: each for each in streams if reported is not None and reported > began}

        began = time.time()
        with running_fleet(path):
            wait_until(lambda: all(each.delivered for each in shown().values()) and len(shown()) == 3)
            done = run_here("fleet", path, "--pause", "one", "--remove", "two")
            assert (done.returncode, done.stderr) == (0, "")
            wait_until(lambda: set(shown()) == {"one", "three"} and shown()["one"].state == "paused")
            text = run_here("fleet", path, "--status").stdout
            assert "paused" in text
            assert "two: removed" in text
        began = time.time()
        with running_fleet(path):
            wait_until(lambda: len(shown()) == 2)
            wait_until(lambda: shown()["one"].dropped > 5 and shown()["three"].delivered > 5)
            assert set(shown()) == {"one", "three"}
            assert shown()["one"].delivered == 0
            run_here("fleet", path, "--resume", "one", "--resume", "two")
            wait_until(lambda: all(each.delivered > 5 for each in shown().values()) and len(shown()) == 3)
            os.replace(_written(tmp_path / "new.toml", path.read_text().replace("streams.two", "streams.four")), path)
            wait_until(lambda: "four" in shown())
            assert set(states.wanted()) == {"one"}


def test_what_cannot_be_asked_of_a_fleet_is_refused_with_the_flag(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "streams.toml"
    path.write_text("[streams.door]\ninput_stream = 0\n[streams.hall]\ninput_stream = 1\n")
    for asked, problem in (
        (("--pause", "cellar"), "there is no stream 'cellar' in the file; there are door, hall (--pause)"),
        (("--remove", "dor"), "there is no stream 'dor' in the file; did you mean door? (--remove)"),
        (
            ("--pause", "hall", "--resume", "hall"),
            "stream 'hall' is also to pause: ask for one of them (--resume)",
        ),
    ):
        assert fleet_command([str(path), *asked]) == 2
        assert problem in capsys.readouterr().err
    with FleetStates(path.with_suffix(".state.sqlite")) as states:
        assert states.wanted() == {}
    assert fleet_command([str(path), "--pause", "door"]) == 0
    assert "no fleet runs with this file now" in capsys.readouterr().err


def test_the_table_says_what_a_stream_waits_for(rtsp: RtspServer, pass_through_server: str) -> None:
    silent = socket.create_server(("127.0.0.1", 0))  # it takes connections and says nothing
    away = f"127.0.0.1:{free_port()}"
    with silent, Fleet() as fleet:
        fleet.add(plan("silent", f"rtsp://127.0.0.1:{silent.getsockname()[1]}/a", pass_through_server))
        fleet.add(plan("no server", rtsp.url("a"), away, connect_timeout=3))
        fleet.add(plan("good", rtsp.url("b"), pass_through_server))
        wait_until(lambda: status(fleet, "good").delivered)
        wait_until(lambda: status(fleet, "no server").waits_for == "the server")
        assert status(fleet, "silent").waits_for == "the source"
        assert status(fleet, "good").waits_for == ""
        text = status_table(fleet.status())
    assert "starting, waits for the source" in text


def test_states_of_another_version_are_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.executescript(
            "CREATE TABLE wanted (name TEXT PRIMARY KEY, state TEXT NOT NULL);"
            "INSERT INTO wanted VALUES ('door', 'paused'); CREATE TABLE status (name, state, PRIMARY KEY (name));"
        )
    with FleetStates(path) as states:
        states.report([StreamStatus("door", "paused", 1, 2, 3, 0.0, None, 0, "", share=0.5)], {})
        assert states.wanted() == {"door": "paused"}
        assert states.status_now() == [StreamStatus("door", "paused", 1, 2, 3, 0.0, None, 0, "", share=0.5)]


def test_a_file_of_states_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "state").write_bytes(b"something else" * 100)
    with pytest.raises(ConfigurationError, match="file is not a database"):
        FleetStates(tmp_path / "state")


@contextmanager
def running_fleet(path: Path, *flags: str) -> Iterator[subprocess.Popen[str]]:
    """The command, which ends well at Ctrl-C."""
    command = [sys.executable, "-m", "stream_client", "fleet", str(path), *flags]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
            process.send_signal(signal.SIGINT)
            _, text = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == 0, text
    assert "Traceback" not in text


def _written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


STREAM = {"input_stream": "0"}


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({}, "has no stream"),
        ({"stream": {}}, r"did you mean \[streams\]"),
        ({"streams": {"a": 5}}, "is no table"),
        ({"streams": {"a": {}}}, "names no input_stream"),
        ({"streams": {"a": {**STREAM, "outputstream": "x"}}}, "did you mean output_stream"),
        ({"defaults": {"modelname": "x"}, "streams": {"a": STREAM}}, r"\[defaults\]: modelname is no setting"),
        ({"streams": {"a/b": STREAM}}, "a name has up to 64"),
        ({"streams": {"a": {**STREAM, "on": "north"}}}, "'a': on is no table"),
        ({"streams": {"a": {**STREAM, "on": {"site": "a b"}}}}, "'a': on has labels of nodes"),
        (
            {"defaults": {"labels_output": "l.jsonl"}, "streams": {"a": STREAM, "b": {"input_stream": "1"}}},
            r"'a' and 'b' both write .*put \{stream\}",
        ),
        (
            {"streams": {n: {**STREAM, "output_stream": ["rtsp://u:p@h/x"]} for n in "ab"}},
            r"both write rtsp://h/x",
        ),
    ],
)
def test_a_file_that_cannot_work_is_refused_with_the_place(document: Mapping[str, object], reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        parse_plans(document, "streams.toml")


def test_defaults_are_filled_with_the_streams_name(tmp_path: Path) -> None:
    path = tmp_path / "streams.toml"
    path.write_text(
        '[defaults]\noutput_stream = ["{stream}.mp4"]\nmax_side = 640\n'
        "[streams.door]\ninput_stream = 0\n[streams.hall]\ninput_stream = 1\nmax_side = 320\n"
    )
    door, hall = read_plans(path)
    filled = {"stream_name": "door", "input_stream": "0", "output_stream": ["door.mp4"], "max_side": 640}
    assert door.settings == filled
    filled = {"stream_name": "hall", "input_stream": "1", "output_stream": ["hall.mp4"], "max_side": 320}
    assert hall.settings == filled


def test_labels_of_nodes_are_added_to_those_of_the_defaults() -> None:
    document = {"defaults": {"on": {"site": "a", "gpu": "no"}}, "streams": {"a": {**STREAM, "on": {"site": "b"}}}}
    (plan,) = parse_plans(document, "streams.toml")
    assert plan.on == {"site": "b", "gpu": "no"}
    assert "on" not in plan.settings


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[streams", b"a = "])
def test_what_is_no_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "streams.toml").write_bytes(content)
    with pytest.raises(ConfigurationError, match="no TOML"):
        read_plans(tmp_path / "streams.toml")
