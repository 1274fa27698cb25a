"""What ``check`` says about configurations, entry by entry."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from graph_server.cli.check import main
from graph_server.config.check import check_config
from tests.conftest import ROOT
from tests.support.graph_server import write_onnx

ECHO = (ROOT / "graphs" / "pass_through" / "graph.pbtxt").read_text()


def checked(folder: Path, *entries: dict[str, Any], **more: Any) -> list[tuple[str, str]]:
    """Effect and reason of everything that is found."""
    content = {"model_config_list": [{"config": entry} for entry in entries], **more}
    (folder / "config.json").write_text(json.dumps(content))
    found = check_config(folder / "config.json")
    return [(finding.effect, finding.reason) for findings in found.values() for finding in findings]


def test_nothing_is_found_where_nothing_is_wrong(tmp_path: Path) -> None:
    write_onnx(tmp_path / "m" / "1" / "m.onnx", inputs={"x": (1,)})
    (tmp_path / "g").mkdir()
    (tmp_path / "g" / "graph.pbtxt").write_text(ECHO)
    assert checked(tmp_path, {"name": "m", "base_path": "m"}, {"name": "g"}) == []


def test_each_fault_that_the_shipped_configuration_had_is_found(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "g").mkdir()
    (tmp_path / "g" / "graph.pbtxt").write_text(ECHO)
    graphs = [{"name": "holisticTracking", "base_path": "../g", "graph_path": "graph.pbtxt"}]
    models = [{"name": name, "base_path": f"../models/{name}"} for name in ("pose", "hand")]
    found = checked(tmp_path / "c", *models, mediapipe_config_list=graphs)
    assert found[0] == ("note", "this list is deprecated: write the graph into model_config_list")
    assert [(effect, "escapes with .." in reason) for effect, reason in found[1:]] == [("refused", True)] * 2


@pytest.mark.parametrize(
    ("files", "settings", "effect", "text"),
    [
        ((), {}, "note", "there is nothing at base_path on this machine"),
        (("m/x/m.onnx",), {}, "read otherwise", "no version to serve"),
        (("m/007/m.onnx",), {}, "refused", "version 7: "),
        (("m/2/m.onnx", "m/3/nothing.txt"), {}, "refused", "version 3: "),
        (("m/1/m.onnx",), {"model_version_policy": {"specific": {"versions": [2]}}}, "read otherwise", "no version"),
        (("m/1/m.onnx",), {"shape": {"y": "(1)"}}, "refused", "version 1: model m: shape names 'y'"),
        (("m.onnx",), {"base_path": "m.onnx"}, "note", "older versions want a folder with version folders"),
        (("m.bin",), {"base_path": "m.bin"}, "refused", "is no model"),
    ],
)
def test_a_models_files_are_read(
    tmp_path: Path, files: tuple[str, ...], settings: dict[str, Any], effect: str, text: str
) -> None:
    for name in files:
        write_onnx(tmp_path / name, inputs={"x": (1,)})
    ((found, reason),) = checked(tmp_path, {"name": "m", "base_path": "m", **settings})
    assert (found, text in reason) == (effect, True), reason


@pytest.mark.parametrize(
    ("graph", "effect", "text"),
    [
        ("nonsense", "refused", "graph.pbtxt: "),
        (
            ECHO.replace("PassThroughCalculator", "OthersCalculator"),
            "note",
            "'OthersCalculator' is not implemented here",
        ),
        (ECHO.replace('output_stream: "IMAGE:output"', 'output_stream: "IMAGE:lost"', 1), "refused", "'lost'"),
    ],
)
def test_a_graphs_text_is_parsed(tmp_path: Path, graph: str, effect: str, text: str) -> None:
    (tmp_path / "g").mkdir()
    (tmp_path / "g" / "graph.pbtxt").write_text(graph)
    ((found, reason),) = checked(tmp_path, {"name": "g"})
    assert (found, text in reason) == (effect, True), reason


def test_a_graph_of_calculators_that_ovms_drops_says_so(tmp_path: Path) -> None:
    (tmp_path / "g").mkdir()
    text = (ROOT / "graphs" / "holistic_tracking" / "graph.pbtxt").read_text()
    (tmp_path / "g" / "graph.pbtxt").write_text(text)
    assert ("note", "HolisticLandmarkCpu leaves OVMS with the release after 2026.4 (its release notes)") in checked(
        tmp_path, {"name": "g"}
    )


def test_a_graph_that_tracks_and_comes_from_a_pool_says_so(tmp_path: Path) -> None:
    (tmp_path / "g").mkdir()
    text = (ROOT / "graphs" / "holistic_tracking" / "graph.pbtxt").read_text()
    (tmp_path / "g" / "graph.pbtxt").write_text(f"# OVMS_GRAPH_QUEUE_MAX_SIZE: 2\n{text}")
    (reason,) = [reason for _, reason in checked(tmp_path, {"name": "g"}) if "pool" in reason]
    assert "PoseLandmarkCpu" in reason
    assert "FaceLandmarksFromPoseCpu" in reason


@pytest.mark.parametrize(("content", "status"), [({"model_config_list": []}, 0), ({"models": []}, 1), (None, 1)])
def test_the_exit_status_tells_whether_there_are_faults(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: object, status: int
) -> None:
    path = tmp_path / "config.json"
    if content is not None:
        path.write_text(json.dumps(content))
    assert main(["--config_path", str(path), "--json"]) == status
    entries = json.loads(capsys.readouterr().out)
    assert [finding["effect"] for entry in entries for finding in entry["findings"]] == ["refused"] * status


def test_the_command_names_every_entry_with_reason_and_version() -> None:
    command = [sys.executable, "-m", "graph_server", "check", "--config_path", "server_config/config.json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=110)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert f"{ROOT}/server_config/config.json: model_config_list[13] (holisticClassifier): fine" in lines
    assert lines[-1] == "0 faults"
