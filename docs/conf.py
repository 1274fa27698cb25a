"""The documentation site, for Sphinx: ``make docs``. Every warning is an error, so is a broken link or reference."""

import sys
from importlib.metadata import version as installed
from pathlib import Path

from sphinx import version_info
from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

project = "ovms-stream-client"
author = "The ovms-stream-client contributors"
version = release = installed(project)

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton", "command_line", "offline", "settings_table"]
exclude_patterns = ["extensions"]
smartquotes = False  # two dashes are a flag's
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

# Every name in a docstring or signature has to have a page, but for those of other projects.
nitpicky = True
nitpick_ignore_regex = [
    (r"py:.*", r"stream_client\..*\._\w+"),  # private
    (r"py:class", r"stream_client\.training\.newest\.S"),  # a type variable
    (r"py:.*", r"stream_client\.events\.(rules\.(Step|Condition)|geometry\..*)"),  # written in TOML
    (r"py:.*", r"(av|collections|fractions|numpy|os|pathlib|supervision|time|types|typing|np|npt)\..*"),
]
autodoc_mock_imports = ["torch"]  # too large for what it shows
autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_type_aliases = {
    "SourceLike": "stream_client.sources.factory.SourceLike",
    "SinkLike": "stream_client.sinks.factory.SinkLike",
    "TransportLike": "stream_client.client.TransportLike",
    "Postprocess": "stream_client.processing.results.Postprocess",
    "Image": "stream_client.frames.Image",
    "PlaneFormat": "stream_client.frames.PlaneFormat",
}
if version_info < (9,):  # Sphinx for Python 3.10 shows these names without a link
    nitpick_ignore_regex.append((r"py:class", "|".join(autodoc_type_aliases)))
maximum_signature_line_length = 90

html_theme = "furo"
html_title = f"{project} {version}"
html_copy_source = False
html_show_copyright = False


def _signature(
    _app: Sphinx, _what: str, _name: str, _obj: object, _options: object, text: str | None, result: str | None
) -> tuple[str | None, str | None]:
    """Sphinx cannot parse how a dataclass writes a default that a function makes."""
    return text and text.replace("<factory>", "..."), result


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-signature", _signature)
