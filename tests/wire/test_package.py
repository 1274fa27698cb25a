"""The package does not import client, server or their libraries."""

import pkgutil
import subprocess
import sys

import pytest

import kserve_wire

MODULES = [f"kserve_wire.{module.name}" for module in pkgutil.iter_modules(kserve_wire.__path__)]
FOREIGN = {"stream_client", "graph_server", "grpc", "av", "cv2", "openvino"}


def loaded_by(module: str) -> set[str]:
    """The top-level packages that importing ``module`` loads in a fresh interpreter."""
    program = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("module", MODULES)
def test_a_module_loads_neither_client_nor_server_nor_their_libraries(module: str) -> None:
    assert not loaded_by(module) & FOREIGN


@pytest.mark.parametrize("module", ["decoder", "jpeg", "rgb"])
def test_pictures_are_of_neither_side(module: str) -> None:
    assert not loaded_by(f"kserve_wire.pictures.{module}") & (FOREIGN - {"av"})


def test_the_malloc_settings_need_neither_numpy_nor_protobuf() -> None:
    assert not loaded_by("kserve_wire.malloc") & {"numpy", "google"}
