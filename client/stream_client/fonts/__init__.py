"""Fonts that have the characters of a text: one that comes with the package, or the system's by fontconfig."""

import logging
import shutil
import subprocess
import unicodedata
from functools import lru_cache
from pathlib import Path

from PIL import ImageFont, features

logger = logging.getLogger(__name__)

_OWN = str(Path(__file__).with_name("DejaVuSans.ttf"))
"""Latin, Greek, Cyrillic, Armenian, Hebrew, Arabic and Georgian."""
_LOOKUP_SECONDS = 5.0
_PLAIN = ("Regular", "Book", "Medium", "Roman")


def font_for(text: str, size: int) -> ImageFont.FreeTypeFont:
    """A font of ``size`` pixels with the characters of ``text``.

    Where no font has them, or the system cannot shape their script, a warning says so once, and they are drawn as far
    as possible.
    """
    path, index = _file_for("".join(sorted(set(text) - set(" \t\n"))))
    return ImageFont.truetype(path, size, index=index)


@lru_cache(maxsize=256)
def _file_for(characters: str) -> tuple[str, int]:
    """The file with these characters, and the font's index in it."""
    if _is_shaped(characters) and not features.check("raqm"):
        logger.warning("the label has %r, which is drawn without shaping: install FriBiDi", characters)
    lacking = _lacking(_OWN, 0, characters)
    if not lacking:
        return _OWN, 0
    for path, index in _installed(characters):
        try:
            if not _lacking(path, index, characters):
                return path, index
        except OSError:
            continue  # a font of bitmaps, which has no other size
    logger.warning("no font has %r of a label: install one, fonts-noto for instance", lacking)
    return _OWN, 0


def _lacking(path: str, index: int, characters: str) -> str:
    """The characters that the font draws as it draws what no font has."""
    font = ImageFont.truetype(path, 24, index=index, layout_engine=ImageFont.Layout.BASIC)
    nothing = bytes(font.getmask("\U0010ffff"))
    return "".join(each for each in characters if bytes(font.getmask(each)) == nothing)


def _installed(characters: str) -> list[tuple[str, int]]:
    """The system's fonts with these characters, upright ones of normal weight first."""
    program = shutil.which("fc-list")
    if program is None:
        return []
    wanted = ":charset=" + " ".join(f"{ord(each):x}" for each in characters)
    try:
        found = subprocess.run(
            [program, "-f", "%{style}\t%{index}\t%{file}\n", wanted],
            capture_output=True,
            text=True,
            timeout=_LOOKUP_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return []
    rows = [line.split("\t") for line in found.stdout.splitlines() if line.count("\t") == 2]
    rows.sort(key=lambda row: (not any(style in _PLAIN for style in row[0].split(",")), row[2]))
    # The upper half of the number is an instance of a variable font.
    return [(path, int(index) & 0xFFFF) for _, index, path in rows]


def _is_shaped(characters: str) -> bool:
    """Whether letters join, change places or run from right to left: Arabic, Hebrew, and South and East Asia's."""
    return any(
        unicodedata.bidirectional(each) in ("R", "AL") or 0x900 <= ord(each) < 0x10A0 or 0x1780 <= ord(each) < 0x1800
        for each in characters
    )
