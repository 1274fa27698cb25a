"""Parity with MediaPipe on the shared clips, on this processor and on older ones that oneDNN imitates.

What is allowed is measured: see benchmarks/README.md.
"""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from graph_server.holistic.parity import Row, allowed
from tests.conftest import ROOT, shared

OF_OLDER = pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="oneDNN imitates x86 processors")
# With SSE41 OpenVINO compiles nothing; AVX512_CORE and all above it have the same float32 kernels.


def parity(tmp_path: Path, *flags: str, isa: str | None = None) -> dict[str, Any]:
    shared("golden/walk.npz")
    environment = {key: value for key, value in os.environ.items() if key != "ONEDNN_MAX_CPU_ISA"}
    if isa is not None:
        environment["ONEDNN_MAX_CPU_ISA"] = isa
    report = tmp_path / "report.json"
    script = ROOT / "benchmarks" / "holistic_parity.py"
    command = [sys.executable, str(script), "--frames", "60", "--json", str(report), *flags]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert report.exists(), done.stderr
    found: dict[str, Any] = json.loads(report.read_text())
    assert done.returncode == bool(found["excess"]), done.stderr
    return found


def only(kernels: list[str], *older: str) -> bool:
    """Whether no kernel is of a newer processor than ``older``."""
    return all(kernel.split("_")[1] in older for kernel in kernels)


@pytest.mark.timeout(180)
def test_landmarks_agree_with_mediapipe(models_dir: Path, tmp_path: Path) -> None:
    assert parity(tmp_path)["excess"] == []


@OF_OLDER
@pytest.mark.timeout(180)
def test_landmarks_agree_with_mediapipe_on_processors_without_avx512(models_dir: Path, tmp_path: Path) -> None:
    report = parity(tmp_path, "--precision", "f32", isa="AVX2")
    assert report["excess"] == []
    assert only(report["environment"]["kernels"], "avx2")


@OF_OLDER
@pytest.mark.timeout(180)
def test_landmarks_agree_with_mediapipe_on_processors_without_avx2(models_dir: Path, tmp_path: Path) -> None:
    # Its kernels take four times as long.
    report = parity(tmp_path, "--precision", "f32", "--clips", "dance", isa="AVX")
    assert report["excess"] == []
    assert only(report["environment"]["kernels"], "avx", "sse42", "gemm")


def test_what_is_allowed_admits_another_processor_s_float32_and_no_bfloat16() -> None:
    limits = allowed(ROOT / "benchmarks" / "mediapipe_noise.csv", "dance", 382)
    # An AMD EPYC with AVX512_BF16: float32 first, then bfloat16.
    assert limits["face"].admits(Row(total=382, both=120, unlike=13, median=0.006, p95=0.03))
    assert limits["pose"].admits(Row(total=382, both=382, unlike=0, median=0.005, p95=0.012))
    assert limits["left_hand"].admits(Row(total=382, both=100, unlike=13, median=0.008, p95=0.033))
    assert not limits["pose"].admits(Row(total=382, both=382, unlike=0, median=0.043, p95=0.104))
    assert not limits["left_hand"].admits(Row(total=382, both=80, unlike=55, median=0.040, p95=0.377))
