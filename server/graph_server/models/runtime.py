"""OpenVINO core with a cache of converted and compiled models."""

import hashlib
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import openvino as ov

from graph_server.errors import ConfigError
from graph_server.scratch import remove_abandoned, scratch_folder
from kserve_wire.openvino_core import new_core


@cache
def supported_keys(device: str) -> frozenset[str]:
    """The keys that ``plugin_config`` may have on a device, ``AUTO:GPU,CPU`` and the like included.

    Source: src/ov_utils.cpp (validatePluginConfiguration). A missing device adds no keys.
    """
    plugin, _, devices = device.partition(":")
    keys = {"ENABLE_MMAP"}
    for name in (plugin, *devices.split(",")):
        with suppress(RuntimeError):
            keys |= set(new_core().get_property(name.partition("(")[0], "SUPPORTED_PROPERTIES"))
    return frozenset(keys)


def default_precision() -> str:
    """The type that networks compute in on this processor if their configuration leaves it open, such as ``bf16``."""
    return str(new_core().get_property("CPU", "INFERENCE_PRECISION_HINT").to_string())


class Runtime:
    """OpenVINO with a cache. From the second start on, models are read and compiled in a fraction of the time.

    TensorFlow Lite models are kept in OpenVINO's own format, which is read in a quarter of the time.
    """

    def __init__(self, cache: Path | None = None, extension: Path | None = None) -> None:
        """``extension``: a library with operations for the CPU device; raises :class:`ConfigError` for another file."""
        self.core = new_core()
        try:
            if extension is not None:
                self.core.add_extension(str(extension))
        except RuntimeError as error:
            raise ConfigError(f"{extension} is no extension of OpenVINO: {error}", option="cpu_extension") from error
        self._kept: Path | None = None
        if cache is not None:
            try:
                kept = cache / "read"
                kept.mkdir(parents=True, exist_ok=True)
                # A mapped file that another process writes again would end this one with a bus error.
                self.core.set_property({"CACHE_DIR": str(cache), "ENABLE_MMAP": False})
                remove_abandoned(kept)
                self._kept = kept
            except OSError:
                pass  # without the cache, only the start is slower

    def read(self, path: Path) -> ov.Model:
        """The model in a file of any format that OpenVINO takes; raises ``RuntimeError``."""
        return self.kept(path, "", lambda: self.core.read_model(str(path)))

    def kept(self, path: Path, change: str, make: Callable[[], ov.Model]) -> ov.Model:
        """What ``make`` makes of the file at ``path`` by a change of that name, or has made before.

        Only what comes of TensorFlow Lite is kept. Raises what ``make`` raises.
        """
        if self._kept is not None and path.suffix == ".tflite":
            try:
                return self._read_kept(self._kept / f"{_digest(path, change)}.xml", make)
            except OSError:
                pass
        return make()

    def compile(self, model: ov.Model, device: str, properties: Mapping[str, Any]) -> ov.CompiledModel:
        """The model for a device, from the cache where it is there; raises ``RuntimeError``.

        Another process may take an entry of the cache for damaged while it is written, and remove it. Or the disk is
        full. Then OpenVINO fails, and this compiles without the cache.
        """
        try:
            return self.core.compile_model(model, device, dict(properties))
        except RuntimeError:
            if self._kept is None or properties.get("CACHE_DIR") == "":
                raise
            return self.core.compile_model(model, device, {**properties, "CACHE_DIR": ""})

    def _read_kept(self, kept: Path, make: Callable[[], ov.Model]) -> ov.Model:
        try:
            return self.core.read_model(str(kept))
        except RuntimeError:  # not there yet, or damaged
            model = make()
        with scratch_folder(kept.parent) as scratch:
            made = scratch / "model.xml"
            try:
                ov.save_model(model, str(made), compress_to_fp16=False)
            except RuntimeError:
                return model
            os.replace(made.with_suffix(".bin"), kept.with_suffix(".bin"))
            os.replace(made, kept)
        # The compile cache depends on how the model was read. So always read it like this.
        return self.core.read_model(str(kept))


def _digest(path: Path, change: str) -> str:
    """Tells files, their states and changes apart."""
    state = path.stat()
    text = f"{ov.__version__} {path.resolve()} {state.st_size} {state.st_mtime_ns} {change}"
    return hashlib.sha256(text.encode()).hexdigest()
