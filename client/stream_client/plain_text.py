"""Text that is safe to print, whoever wrote it: a server, a camera, or a file's name."""

import re

MESSAGE_LENGTH = 1000
"""The most characters of an error's message."""
QUOTE_LENGTH = 400
"""The most characters of another program's text within a message, so that the remedy after it is still read."""

# ECMA-48's control sequences: CSI with its parameters, OSC and its relatives to their end, and those of two characters.
_ESCAPES = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?|\x1b[\]PX^_][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?|\x1b.?")
_UNPRINTABLE = re.compile(r"[^\S\n]|[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, marks that turn the direction of what follows, and lone halves of surrogate pairs."""


def one_line(text: str, length: int = MESSAGE_LENGTH) -> str:
    """``text`` in one line of at most ``length`` characters, without control characters and escape sequences.

    Takes time in proportion to ``length``, however long ``text`` is.
    """
    if text.isascii() and text.isprintable() and len(text) <= length:
        return " ".join(text.split())
    line = " ".join(printable(text[: 8 * length]).split())
    cut = len(line) > length or len(text) > 8 * length
    return f"{line[: length - 2]} …" if cut else line


def printable(text: str) -> str:
    """``text`` without escape sequences; line feeds stay, other control characters become spaces."""
    return _UNPRINTABLE.sub(" ", _ESCAPES.sub("", text))


def quoted(text: str) -> str:
    """Another program's text, for a message of ours: :func:`one_line` of :data:`QUOTE_LENGTH`."""
    return one_line(text, QUOTE_LENGTH)
