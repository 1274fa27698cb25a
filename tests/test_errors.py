"""The tree of errors."""

import ast
import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest

import graph_server.errors as server
import stream_client.errors as client


def _drawn(text: str) -> dict[str, str | None]:
    """Each class in a drawn tree, and its parent."""
    path: list[str] = []
    parents: dict[str, str | None] = {}
    for line in text.splitlines():
        found = re.match(r"    ([ │├└─]*)(\w+)", line)
        if found:
            depth = len(found[1]) // 5
            path[depth:] = [found[2]]
            parents[found[2]] = path[-2] if depth else None
    return parents


def _defined(package: Path) -> dict[str, Path]:
    """Each exception that the package's modules define."""
    return {
        node.name: path
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
        for base in node.bases
        if isinstance(base, ast.Name) and base.id.endswith(("Error", "Exception", "Refusal"))
    }


def test_the_drawing_of_the_clients_errors_is_what_the_classes_are() -> None:
    classes = {name: kind for name, kind in inspect.getmembers(client, inspect.isclass) if kind is not BaseException}
    drawn = _drawn(client.__doc__ or "")
    assert drawn == {
        name: kind.__bases__[0].__name__ if name != "StreamClientError" else None for name, kind in classes.items()
    }


@pytest.mark.parametrize("module", [client, server], ids=["client", "server"])
def test_every_error_of_a_package_is_in_its_drawing(module: ModuleType) -> None:
    source = Path(inspect.getsourcefile(module) or "")
    assert set(_defined(source.parent)) == set(_drawn(module.__doc__ or ""))
