"""What a user of the package sees first: names, signature, types, errors of use."""

import ast
import importlib
import importlib.metadata
import inspect
import pydoc
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import stream_client
from stream_client import RunOptions, StreamClient
from tests.conftest import ROOT

PROGRAM = """
from pathlib import Path
from typing import Iterator
import numpy as np
import stream_client
from stream_client import Image, Result, RunOptions, StreamClient

def frames() -> Iterator[Image]:
    yield np.zeros((4, 4, 3), np.uint8)

def shown(result: Result) -> None: ...

StreamClient(0, "screen")
StreamClient(Path("in.mp4"), [Path("out.mp4"), shown], "host:9000", options=RunOptions(max_inflight=4))
StreamClient(frames(), shown, on_result=shown)
for result in StreamClient(lambda: np.zeros((4, 4, 3), np.uint8)):
    print(result.frame.index, result.label, stream_client.__version__)
"""
MISTAKES = {
    "StreamClient('in.mp4', postproces=None)": 'Unexpected keyword argument "postproces"',
    "StreamClient('in.mp4', options=RunOptions(max_inflght=4))": 'Unexpected keyword argument "max_inflght"',
    "StreamClient(3.5)": 'Argument 1 to "StreamClient" has incompatible type "float"',
    "StreamClient('in.mp4', 7)": 'Argument 2 to "StreamClient" has incompatible type "int"',
    "stream_client.StreamCleint": 'Module has no attribute "StreamCleint"',
}


def test_the_constructor_shows_its_own_parameters() -> None:
    names = list(inspect.signature(StreamClient).parameters)
    assert names[:4] == ["source", "sinks", "transport", "options"]
    assert {"postprocess", "observers", "on_start", "on_result", "on_stop"} < set(names)
    assert not {"args", "kwargs", "postprocess_callback"} & set(names)
    assert " at 0x" not in str(inspect.signature(StreamClient))
    assert "StreamClient(source: " in pydoc.plain(pydoc.render_doc(StreamClient))


def test_the_class_is_the_real_one() -> None:
    assert StreamClient.__module__ == "stream_client.client"
    assert isinstance(StreamClient("in.mp4"), StreamClient)


def test_a_misspelt_keyword_is_an_error_at_run_time() -> None:
    misspelt: Any = {"postproces": None}
    with pytest.raises(TypeError, match="'postproces'"):
        StreamClient("in.mp4", **misspelt)


@pytest.mark.timeout(300)  # mypy without its cache
def test_types_tell_a_right_program_from_mistakes(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM + "\n".join(MISTAKES))
    # As a program: within this process it would raise the limit of recursion.
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), str(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not done.stderr
    told = [line.partition(": error: ")[2] for line in done.stdout.splitlines() if ": error: " in line]
    assert len(told) == len(MISTAKES), done.stdout
    assert all(found.startswith(mistake) for found, mistake in zip(told, MISTAKES.values(), strict=True)), done.stdout


def test_every_exported_name_is_that_of_the_module_which_defines_it() -> None:
    tree = ast.parse(Path(stream_client.__file__ or "").read_text())
    homes = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("stream_client.")
        for alias in node.names
    }
    assert {*homes, "__version__"} == set(stream_client.__all__)
    for name, home in homes.items():
        assert getattr(stream_client, name) is getattr(importlib.import_module(home), name)


def test_every_error_is_exported() -> None:
    errors = importlib.import_module("stream_client.errors")
    assert {name for name, _ in inspect.getmembers(errors, inspect.isclass)} < set(stream_client.__all__)


def test_the_version_is_the_distributions() -> None:
    assert stream_client.__version__ == importlib.metadata.version("ovms-stream-client")


def test_dir_lists_what_is_exported_and_an_unknown_name_is_an_attribute_error() -> None:
    assert set(stream_client.__all__) < set(dir(stream_client))
    with pytest.raises(AttributeError, match="'StreamCleint'"):
        getattr(stream_client, "StreamCleint")  # noqa: B009 - mypy knows that it is not there


def test_importing_the_package_loads_neither_numpy_nor_grpc() -> None:
    code = "import stream_client, sys; print({'numpy', 'grpc', 'av'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_a_subclass_may_have_a_constructor_of_its_own() -> None:
    class OneFile(StreamClient):
        def __init__(self, path: str) -> None:
            super().__init__(path, options=RunOptions(limit_frames=1))

    assert list(inspect.signature(OneFile).parameters) == ["path"]
    assert isinstance(OneFile("in.mp4"), OneFile)
