"""Every example runs as a user runs it, and does what its docstring says."""

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet

from tests.conftest import ROOT
from tests.support.graph_server import graph_server
from tests.support.kserve_server import ScriptedServer, image_and_label
from tests.support.publisher import Publisher
from tests.support.rtsp_server import RtspServer
from tests.support.video import read_back

EXAMPLES = ROOT / "examples"
FRAMES = 40
"""Of the clip ``person``."""


def run(name: str, *arguments: object, folder: Path) -> str:
    """The standard output of an example that ends with status 0 and without a traceback."""
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


def test_every_example_has_a_docstring_and_a_test() -> None:
    names = {path.stem for path in EXAMPLES.glob("*.py")} - {"live_student"}  # tested in tests/client/training
    tests = Path(__file__).read_text("utf-8")
    assert len(names) >= 10
    for name in names:
        assert (EXAMPLES / f"{name}.py").read_text("utf-8").startswith('"""'), name
        assert f'run("{name}"' in tests, name


def test_hello(tmp_path: Path, person: Path) -> None:
    assert len(run("hello", person, folder=tmp_path).splitlines()) == FRAMES


def test_callbacks(tmp_path: Path, person: Path) -> None:
    first, ledger, *labels = run("callbacks", person, folder=tmp_path).splitlines()
    assert re.fullmatch(r"442x\d+ at \d+ frames/s", first)
    assert ledger.startswith(f"{FRAMES} frames: {FRAMES} delivered")
    assert sum(int(line.split()[-2]) for line in labels) == FRAMES


def test_camera_to_screen(tmp_path: Path, person: Path) -> None:
    """To a file, since a window needs a display: tests/client/sinks has the window."""
    run("camera_to_screen", person, "--output", "seen.mp4", folder=tmp_path)
    assert len(read_back(tmp_path / "seen.mp4")) == FRAMES


def test_relay(tmp_path: Path) -> None:
    with (
        RtspServer(publish=["camera", "annotated"]) as server,
        Publisher(server.url("publish/camera"), ["-f", "lavfi", "-i", "testsrc=size=160x120:rate=15"]),
    ):
        said = run("relay", server.url("camera"), server.url("publish/annotated"), "--seconds", 4, folder=tmp_path)
    assert int(re.findall(r"(\d+) delivered", said)[0]) > 0
    assert "source: lost 0 times" in said


def test_own_ovms_unary(tmp_path: Path, clip: Path) -> None:
    with graph_server() as server:
        said = run("own_ovms_unary", server.address, clip, "--model_name", "passThrough", folder=tmp_path)
    assert [int(line.split()[0]) for line in said.splitlines()] == list(range(30))


def test_numpy_source(tmp_path: Path) -> None:
    assert run("numpy_source", folder=tmp_path) == "50 frames came back, in order: True\n"


def test_labels_to_csv(tmp_path: Path, person: Path) -> None:
    run("labels_to_csv", person, "--out", "labels.csv", folder=tmp_path)
    header, *rows = csv.reader((tmp_path / "labels.csv").read_text("utf-8").splitlines())
    assert header == ["time", "label", "score"]
    assert len(rows) == FRAMES


def test_several_sinks(tmp_path: Path, person: Path) -> None:
    assert run("several_sinks", person, folder=tmp_path).startswith(f"{FRAMES} frames, at most")
    assert len(read_back(tmp_path / "annotated.mp4")) == FRAMES
    lines = (tmp_path / "labels.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["frame"] for line in lines] == list(range(FRAMES))
    assert (tmp_path / "changes.jsonl").exists()


def test_own_postprocessing(tmp_path: Path, person: Path) -> None:
    run("own_postprocessing", person, "--out", "drawn.mp4", folder=tmp_path)
    assert len(read_back(tmp_path / "drawn.mp4")) == FRAMES


def test_landmarks_to_parquet(tmp_path: Path, person: Path) -> None:
    run("landmarks_to_parquet", person, folder=tmp_path)
    assert pyarrow.parquet.read_table(tmp_path / "landmarks.parquet").num_rows == FRAMES


def test_metrics(tmp_path: Path) -> None:
    said = run("metrics", "--port", 0, "--frames", 20, folder=tmp_path)
    ends = [(re.findall(r'outcome="(\w+)"', line)[0], float(line.split()[-1])) for line in said.splitlines()]
    assert dict(ends)["delivered"] > 0
    assert sum(count for _, count in ends) == 20


def test_other_kserve_server(tmp_path: Path, clip: Path) -> None:
    with ScriptedServer() as server:
        server.script = image_and_label
        server.outputs = ["output", "label_scores"]
        said = run("other_kserve_server", server.address, "graph", clip, "--frames", 5, folder=tmp_path)
    assert len(said.splitlines()) == 5


def test_model_as_function(tmp_path: Path) -> None:
    assert run("model_as_function", folder=tmp_path) == "128 dark, 72 light\n"


def test_an_example_says_in_a_line_what_is_wrong(tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLES / "hello.py"), "nowhere.mp4"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode != 0
    assert "nowhere.mp4" in done.stderr.splitlines()[-1]
