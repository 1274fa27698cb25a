"""On what a bench ran, and how much of the processors it had."""

import os
import resource
import subprocess
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import mediapipe_peer

from stream_client.benchmark.environment import environment

FEATURES = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_bf16", "amx_int8")
"""What decides which kernels a network gets, as Linux names it."""
_PEERS = ("tritonclient", "opencv-python-headless")
_TICK = os.sysconf("SC_CLK_TCK")


def features() -> tuple[str, ...]:
    """Those of :data:`FEATURES` that this processor has."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text("utf-8", errors="replace").splitlines() if information.exists() else []
    flags = next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), [])
    return tuple(name for name in FEATURES if name in flags)


def machine() -> dict[str, Any]:
    """Processor, its features, system, and the versions of what is measured and of its peers."""
    found = environment()
    versions = dict(found["versions"])  # type: ignore[call-overload]
    for package in _PEERS:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return found | {"features": features(), "versions": versions | {"mediapipe": mediapipe_peer.VERSION}}


def commit(root: Path, besides: Path) -> tuple[str, bool]:
    """The commit that is checked out, and whether a file ``besides`` that one differs from it."""
    git = ["git", "-C", str(root)]
    try:
        found = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
        exclude = f":(exclude){besides.resolve().relative_to(root)}" if besides.resolve().is_relative_to(root) else "."
        names = ["status", "--porcelain", "--untracked-files=no", "--", ".", exclude]
        changed = subprocess.run([*git, *names], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "", False
    return found.stdout.strip(), bool(changed.stdout.strip())


@dataclass(frozen=True)
class Processors:
    """Seconds of the processors since the system began, and those of this process with its children."""

    all: float
    busy: float
    stolen: float
    own: float

    @classmethod
    def now(cls) -> "Processors":
        """The times so far; of children those that have ended."""
        used = sum(
            usage.ru_utime + usage.ru_stime
            for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        )
        statistics = Path("/proc/stat")
        if not statistics.exists():
            return cls(0.0, 0.0, 0.0, used)
        # user nice system idle iowait irq softirq steal; proc(5)
        times = [int(text) / _TICK for text in statistics.read_text().split("\n", 1)[0].split()[1:9]]
        return cls(sum(times), sum(times) - times[3] - times[4] - times[7], times[7], used)

    def others(self, before: "Processors") -> tuple[float, float]:
        """The shares, 0…1, that other processes and the machine's host took since ``before``."""
        total = self.all - before.all
        if total <= 0:
            return 0.0, 0.0
        mine = self.own - before.own
        return max(0.0, self.busy - before.busy - mine) / total, (self.stolen - before.stolen) / total
