"""The commands and snippets of README and docs: those that can run here are run, the flags of the others are parsed."""

import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from graph_server.cli.arguments import build_parser as server_parser
from stream_client.cli import benchmark, distill, doctor, evaluate, flags, readback, train, web
from tests.conftest import ROOT
from tests.support.graph_server import graph_server_process

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PROGRAMS = Path(sys.executable).parent

NOT_HERE = {
    "pip install": "environments are made by `make wheel` and the Makefile",
    "docker ": "no container engine",
    "kubectl ": "tests/deploy renders what deploy/kubernetes has",
    "apt-get": "changes the machine",
    "ffmpeg ": "tests/e2e/test_relay.py publishes and watches with ffmpeg",
    "/usr/bin/python3 tests/support": "tests/e2e/test_relay.py runs this server",
    "curl ": "asks a server that another line starts",
    "--input_stream 0": "no camera",
    "output_stream screen": "no display; tests/client/sinks has a window under Xvfb",
    "rtsp://": "tests/e2e/test_relay.py relays and reads back",
    "udp://": "tests/client/sources/test_datagrams.py sends and reads",
    "models/exercises": "tests/client/training trains and evaluates",
    "--model_name NAME": "NAME stands for the user's model",
    'model="yolo"': "no camera; tests/e2e/seeds/test_roboflow.py runs the class on a model",
    "--pushgateway": "tests/e2e/test_prometheus.py pushes to a real gateway",
    "-client benchmark": "takes minutes; tests/client/benchmark runs shorter sweeps",
    "assets --models_dir": "fetches 45 MB; tests/server/cli/test_assets.py fetches small files",
    "-client web": "serves until it is ended; tests/client/cli/test_web.py starts and ends it",
    "ssh -L": "goes to another machine",
    "make web": "as the command web",
    "httpx.Client": "tests/client/web asks the same of an application",
    "distill.distill": "needs PyTorch; tests/client/distill runs the same with another teacher",
    "examples/": "tests/examples runs every example",
}
"""What a command contains, and why it is not run here."""
COMMANDS = {"train": train.build_parser, "evaluate": evaluate.build_parser, "readback": readback.build_parser,
            "distill": distill.build_parser, "doctor": doctor.build_parser, "benchmark": benchmark.build_parser,
            "web": web.build_parser}  # fmt: skip


def blocks(kind: str) -> Iterator[tuple[str, str]]:
    """Page and text of each fenced block."""
    for page in PAGES:
        for found in re.findall(rf"^ *```{kind}\n(.*?)^ *```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL):
            yield page.relative_to(ROOT).as_posix(), found


def commands() -> Iterator[tuple[str, str]]:
    """Page and command, in one line and without its comment."""
    for page, block in blocks("sh"):
        for line in block.replace("\\\n", " ").splitlines():
            command = re.sub(r"(^|\s)#.*", "", line).strip()
            if command and not command.startswith("cd "):
                yield page, " ".join(command.split())


ALL = sorted(set(commands()))


def reason(command: str) -> str | None:
    return next((why for part, why in NOT_HERE.items() if part in command), None)


def ours(command: str) -> list[str] | None:
    """The arguments of the client's command line, if it is that."""
    for name in ("ovms-stream-client ", "python client.py ", "python -m stream_client "):
        if command.startswith(name):
            return shlex.split(command.removeprefix(name))
    return None


@pytest.mark.parametrize(("page", "command"), ALL)
def test_the_flags_of_a_command_exist(page: str, command: str) -> None:
    arguments = ours(command)
    if arguments is not None:
        parser = COMMANDS[arguments[0]]() if arguments[0] in COMMANDS else flags.build_parser()
        given = arguments[1:] if arguments[0] in COMMANDS else arguments
        given = given if "--input_stream" in given or arguments[0] != "doctor" else ["--input_stream", "x", *given]
        parser.parse_args([word for word in given if word != "--help"])
    elif command.startswith("python -m graph_server --"):
        server_parser().parse_args(shlex.split(command)[3:])
    elif command.startswith("make "):
        targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
        assert set(command.split()[1:]) <= set(targets)
    else:
        assert reason(command) or command.startswith(("bash .ci/run", "python -m graph_server", "python ")), command


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, person: Path) -> Path:
    """Where the commands run: with the files that they name."""
    made = tmp_path_factory.mktemp("docs")
    for name in ("in.mp4", "demo.mp4", "clip.mp4"):
        (made / name).symlink_to(person)
    for name in ("server_config", "graphs"):
        (made / name).symlink_to(ROOT / name)
    pattern = ("--input_stream", "testsrc:320x240@30", "--limit_frames", "30", "--output_stream", "pattern.mp4")
    model = ("--model_name", "passThrough")
    subprocess.run([PROGRAMS / "ovms-stream-client", *pattern, *model], cwd=made, check=True, capture_output=True)
    (made / "recording.mp4").symlink_to(made / "pattern.mp4")
    return made


@pytest.fixture(scope="module")
def address(models_dir: Path) -> Iterator[str]:
    """A server that stands for the user's own OVMS, ``host:9000``."""
    with graph_server_process() as server:
        assert server.address
        yield server.address


RUN = {
    tuple(arguments): (page, command)
    for page, command in ALL
    if reason(command) is None and (arguments := ours(command)) is not None
}
"""By their arguments: what several pages name is run once."""


@pytest.mark.parametrize(("page", "command"), RUN.values())
def test_a_command_of_the_client_runs(page: str, command: str, folder: Path, address: str) -> None:
    arguments = ours(command.replace("host:9000", address))
    assert arguments is not None
    done = subprocess.run(
        [PROGRAMS / "ovms-stream-client", *arguments],
        cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=110,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", sorted({c for _, c in ALL if c.startswith("python -m graph_server --")}))
def test_a_command_of_the_server_starts(command: str, folder: Path) -> None:
    """On free ports, since the usual ones may be taken."""
    words = re.sub(r"(port) \d+", r"\1 0", command.replace("python", sys.executable, 1))
    with subprocess.Popen(
        [*shlex.split(words), "--exit_with_stdin"],
        cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert '"grpc"' in process.stdout.readline()
        process.communicate(timeout=20)
    assert process.returncode == 0


OTHERS = {c for _, c in ALL if re.match(r"python -m graph_server \w", c) and reason(c) is None}


@pytest.mark.parametrize("command", sorted(OTHERS))
def test_another_command_of_the_server_runs(command: str, folder: Path) -> None:
    words = shlex.split(command.replace("python", sys.executable, 1))
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr


SNIPPETS = {(page, textwrap.dedent(snippet)) for page, snippet in blocks("python") if reason(snippet) is None}


@pytest.mark.parametrize(("page", "snippet"), sorted(SNIPPETS))
def test_a_snippet_runs(page: str, snippet: str, folder: Path, address: str) -> None:
    program = snippet.replace("host:9000", address)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False, timeout=110
    )
    assert done.returncode == 0, done.stderr
