"""Build sdist and wheel, install the wheel without the checkout, and run the demo and every ``--help`` from there.

    python -m tools.check_wheel

Runs with this Python, and with the oldest and the newest one of this machine that pyproject.toml promises.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tools.interpreters import ROOT, interpreters, promised

UV = Path(sys.executable).parent / "uv"
COMMANDS = ("train", "evaluate", "doctor", "readback", "benchmark", "web")
HELPS = (
    ("ovms-stream-client", "--help"),
    *(
        ("ovms-stream-client", name, "--help")
        for name in ("train", "evaluate", "doctor", "readback", "benchmark", "web")
    ),
    ("python", "-m", "stream_client", "--help"),
    ("python", "-m", "graph_server", "--help"),
    *(("python", "-m", "graph_server", name, "--help") for name in ("assets", "landmarks", "check")),
)


def run(command: Sequence[str | Path], folder: Path) -> str:
    """The command's standard output; ends the program where it fails or writes a traceback."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode or "Traceback" in done.stderr:
        words = " ".join(map(str, command))
        sys.exit(f"failed with status {done.returncode}: {words}\n{done.stdout}{done.stderr}")
    return done.stdout


def check(wheel: Path, python: Path, folder: Path) -> None:
    """Install and try the wheel in the empty ``folder``."""
    environment = folder / "environment"
    run([UV, "venv", "--quiet", "--seed", "--python", python, environment], folder)
    programs = environment / "bin"
    run([UV, "pip", "install", "--quiet", "--python", programs / "python", f"{wheel}[embedded,train,web]"], folder)
    for name, *arguments in HELPS:
        assert "usage:" in run([programs / name, *arguments], folder).lower(), name
    page = "import stream_client.web as w; print((w.__path__[0] + '/page/index.html'))"
    assert Path(run([programs / "python", "-c", page], folder).strip()).is_file()
    clip = run([programs / "python", "-m", "graph_server", "assets", "--clip"], folder).splitlines()[-1]
    outputs = ("--output_stream", "demo.mp4", "--labels_output", "labels.jsonl")
    run([programs / "ovms-stream-client", "--input_stream", clip, *outputs, "--limit_frames", "30"], folder)
    assert len((folder / "labels.jsonl").read_text("utf-8").splitlines()) == 30
    assert (folder / "demo.mp4").stat().st_size > 0


def main() -> None:
    """See the module."""
    with tempfile.TemporaryDirectory() as scratch:
        dist = Path(scratch) / "dist"
        run([UV, "build", "--quiet", "--python", sys.executable, "--out-dir", dist, ROOT], ROOT)
        (wheel,) = dist.glob("*.whl")
        print(f"built {wheel.name} and {next(dist.glob('*.tar.gz')).name}")
        found = dict(interpreters())
        own = (sys.version_info.major, sys.version_info.minor)
        chosen = {min(found): found[min(found)], own: Path(sys.executable), max(found): found[max(found)]}
        for version, python in sorted(chosen.items()):
            folder = Path(scratch) / f"python{version[0]}.{version[1]}"
            folder.mkdir()
            check(wheel, python, folder)
            print(f"Python {version[0]}.{version[1]}: installed, {len(HELPS)} helps, the demo's command")
        missing = [f"{major}.{minor}" for major, minor in promised() if (major, minor) not in found]
        print(f"not on this machine: {', '.join(missing) or 'none'}")


if __name__ == "__main__":
    main()
