"""Debian's podman, and a base image for it that this machine makes itself."""

import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT
from tests.support.missing import missing

BASE = "docker.io/library/python:3.12-slim-bookworm"
"""What the Dockerfiles begin with; here it is Debian's own Python under that name."""
_PROGRAMS = ("podman", "runc", "iptables", "debootstrap")


class Engine:
    """Runs podman and podman-compose with settings of their own in ``folder``."""

    def __init__(self, folder: Path) -> None:
        for program in _PROGRAMS:
            if shutil.which(program) is None:
                missing(program, "apt-get install podman buildah runc netavark iptables aardvark-dns debootstrap")
        if os.geteuid() != 0:
            missing("root's rights, which debootstrap and these containers need", "sudo make containers")
        self._folder = folder
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        settings = folder / "containers.conf"
        # crun refuses hybrid control groups, and nobody may raise the limits.
        settings.write_text(
            '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
            f'[containers]\ndefault_ulimits = ["nofile=1024:{files}", "nproc=1024:1024"]\n'
        )
        # Without docker's format an image has no health check.
        self.environment = {**os.environ, "CONTAINERS_CONF": str(settings), "BUILDAH_FORMAT": "docker"}

    def podman(self, *arguments: str, check: bool = True, timeout: float = 120) -> str:
        """The standard output of a podman command; its standard error is shown where it fails."""
        return self._run(["podman", *arguments], check=check, timeout=timeout)

    def compose(self, *arguments: str, timeout: float = 300) -> str:
        """podman-compose with the project's file and what the tests change of it."""
        files = [
            "-f",
            str(ROOT / "docker" / "compose.yaml"),
            "-f",
            str(ROOT / "tests" / "containers" / "override.yaml"),
        ]
        program = str(Path(sys.executable).parent / "podman-compose")
        return self._run([program, *files, *arguments], timeout=timeout)

    def build(self, dockerfile: str, tag: str) -> None:
        """Build an image as docs/how-to/relay.md does."""
        command = ("build", "--quiet", "--network", "host", "--pull=never", "--file", f"docker/{dockerfile}")
        self.podman(*command, "--tag", tag, str(ROOT), timeout=900)

    def make_base_image(self) -> None:
        """Debian's smallest system with Python, this machine's settings for pip, and its certificates."""
        if self._exists(BASE):
            return
        root = self._folder / "root"
        targets = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
        mirror = subprocess.run(targets, capture_output=True, text=True, check=True).stdout.split()[0]
        packages = "--include=python3,python3-venv,ca-certificates"
        self._run(["debootstrap", "--variant=minbase", packages, "bookworm", str(root), mirror], timeout=900)
        (root / "usr/bin/python").symlink_to("python3")
        for kept in ("etc/pip.conf", "etc/ssl/certs/ca-certificates.crt"):
            if Path("/", kept).is_file():
                shutil.copyfile(Path("/", kept), root / kept)
        with subprocess.Popen(["tar", "-C", str(root), "-c", "."], stdout=subprocess.PIPE) as archive:
            subprocess.run(
                ["podman", "import", "-", BASE], stdin=archive.stdout, check=True, env=self.environment, timeout=300
            )
        shutil.rmtree(root)

    def state(self, name: str) -> dict[str, object]:
        """The state of a container, as podman inspects it."""
        (found,) = json.loads(self.podman("inspect", name))
        return dict(found["State"])

    def logs(self, name: str) -> tuple[str, str]:
        """What a container has written to standard output and to standard error."""
        command = ["podman", "logs", name]
        shown = subprocess.run(command, capture_output=True, text=True, check=True, env=self.environment, timeout=60)
        return shown.stdout, shown.stderr

    def _exists(self, image: str) -> bool:
        command = ["podman", "image", "exists", image]
        return subprocess.run(command, check=False, env=self.environment, timeout=60).returncode == 0

    def _run(self, command: list[str], *, check: bool = True, timeout: float) -> str:
        finished = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=self.environment,
            timeout=timeout,
        )
        if check:
            assert finished.returncode == 0, (
                f"{' '.join(command)}\n{finished.stdout[-3000:]}\n{finished.stderr[-6000:]}"
            )
        return finished.stdout
