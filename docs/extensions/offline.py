"""A page that loads anything from another host is a warning, so the build fails: the site works without a network."""

import re
from html.parser import HTMLParser
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.typing import ExtensionMetadata

_OTHER_HOST = re.compile(r"(https?:)?//")
_IN_STYLE = re.compile(r"""(?:url\(|@import)\s*["']?((?:https?:)?//[^"')]+)""")
_LOGGER = logging.getLogger(__name__)


class _Page(HTMLParser):
    """Collects what a browser fetches by itself: not the links that a reader may click."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Scripts, images and frames have ``src``; styles, fonts and icons are ``link``."""
        address = dict(attrs).get("href" if tag == "link" else "src")
        if address and _OTHER_HOST.match(address):
            self.loads.append(address)


def _check(app: Sphinx, exception: Exception | None) -> None:
    if exception is not None:
        return
    for path in sorted(Path(app.outdir).rglob("*.html")):
        page = _Page()
        page.feed(path.read_text("utf-8"))
        _warn(app, path, page.loads)
    for path in sorted(Path(app.outdir).rglob("*.css")):
        _warn(app, path, _IN_STYLE.findall(path.read_text("utf-8")))


def _warn(app: Sphinx, path: Path, addresses: list[str]) -> None:
    for address in addresses:
        _LOGGER.warning("%s loads %s: keep a copy in docs", path.relative_to(app.outdir), address)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Called by Sphinx."""
    app.connect("build-finished", _check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
