"""What the command line may import, and when."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

LIBRARY = [
    path
    for path in sorted((ROOT / "client" / "stream_client").rglob("*.py"))
    if "cli" not in path.relative_to(ROOT / "client").parts
]


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: str(path.relative_to(ROOT / "client")))
def test_only_the_command_line_parses_arguments(path: Path) -> None:
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert "argparse" not in imported
    assert "sys.argv" not in path.read_text("utf-8")


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        # Flags are parsed before the embedded server is started, and that before anything large is loaded.
        ("stream_client.cli.command", ("numpy", "grpc", "av", "google.protobuf")),
        (
            "stream_client.cli.run",
            (
                *("stream_client.classify", "stream_client.training", "stream_client.doctor", "prometheus_client"),
                *("stream_client.benchmark.report", "stream_client.monitoring.prometheus", "matplotlib", "openvino"),
                *("urllib.request", "sklearn"),
            ),
        ),
    ],
)
def test_what_few_runs_need_is_not_loaded_by_every_run(module: str, unwanted: tuple[str, ...]) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(unwanted) & set(done.stdout.split())
