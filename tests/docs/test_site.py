"""What `make docs` builds: nothing is missing in it, and it needs no other host."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

DOCS = ROOT / "docs"


def built(folder: Path, page: str) -> "subprocess.CompletedProcess[str]":
    """A site of one page, checked as ours is."""
    (folder / "conf.py").write_text(
        f"import sys\nsys.path.insert(0, {str(DOCS / 'extensions')!r})\nextensions = ['offline']\n"
    )
    (folder / "index.rst").write_text(f"Page\n====\n\n.. raw:: html\n\n   {page}\n")
    command = [sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning", str(folder), str(folder / "out")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "page",
    [
        '<img src="https://example.org/badge.svg">',
        '<script src="//example.org/a.js"></script>',
        '<link rel="stylesheet" href="https://example.org/font.css">',
    ],
)
def test_a_page_that_loads_from_another_host_fails_the_build(page: str, tmp_path: Path) -> None:
    done = built(tmp_path, page)
    assert done.returncode == 1
    assert "index.html loads" in done.stderr
    assert "example.org" in done.stderr


def test_a_page_may_link_to_another_host(tmp_path: Path) -> None:
    done = built(tmp_path, '<a href="https://example.org">there</a>')
    assert done.returncode == 0, done.stderr


def test_every_example_is_on_the_page_of_examples() -> None:
    page = (DOCS / "examples.md").read_text("utf-8")
    for path in (ROOT / "examples").glob("*.py"):
        assert f"../examples/{path.name}" in page, path.name


def test_every_command_has_a_page() -> None:
    pages = "".join(path.read_text("utf-8") for path in (DOCS / "reference" / "command-line").glob("*.md"))
    modules = [
        f"{package}.cli.{path.stem}"
        for package, folder in (("stream_client", "client"), ("graph_server", "server"))
        for path in (ROOT / folder / package / "cli").glob("*.py")
        if "\ndef build_parser(" in path.read_text("utf-8")
    ]
    assert len(modules) >= 9
    for module in modules:
        assert f"{{command-line}} {module}\n" in pages, module


def test_every_public_name_is_in_the_reference() -> None:
    """By autodoc's directives: `make docs` checks that each leads somewhere."""
    import stream_client

    pages = "".join(path.read_text("utf-8") for path in (DOCS / "reference" / "python").glob("*.md"))
    documented = {name.rpartition(".")[2] for name in re.findall(r"^\.\. auto\w+:: ([\w.]+)$", pages, re.MULTILINE)}
    assert set(stream_client.__all__) - documented == {"__version__"}
