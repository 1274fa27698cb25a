"""Texts of others, as they are printed."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_client.errors import ServerError
from stream_client.plain_text import MESSAGE_LENGTH, QUOTE_LENGTH, one_line, quoted
from stream_client.util.redact import redact
from stream_client.util.safe_log import SafeFormatter
from stream_client.util.table import table

LONG = 3_000_000


@given(st.text())
def test_a_line_has_nothing_that_moves_a_terminal(text: str) -> None:
    line = one_line(text)
    assert len(line) <= MESSAGE_LENGTH
    assert line.encode() is not None  # no half of a surrogate pair
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in line)


@pytest.mark.parametrize("text", ["standing", "stehend, für später", "立っている", "يقف"])
def test_a_text_in_any_script_stays_as_it_is(text: str) -> None:
    assert one_line(text) == text


def test_an_escape_sequence_goes_as_a_whole() -> None:
    assert one_line("\x1b]0;pwned\x07\x1b[2J\x1b[31mred \x9b1mbold\x1b[0m\r\n\x08end") == "red bold end"


def test_an_error_of_ours_is_printable_whatever_a_server_says() -> None:
    error = ServerError("the server says: \x1b]0;pwned\x07no\n" + "e" * LONG)
    assert error.message.startswith("the server says: no e")
    assert len(str(error)) <= MESSAGE_LENGTH


def test_a_quoted_text_leaves_room_for_the_remedy() -> None:
    text = quoted("e" * LONG)
    assert len(text) == QUOTE_LENGTH
    assert text.endswith(" …")


def test_a_record_of_the_log_is_printable_and_bounded() -> None:
    record = logging.LogRecord("x", logging.WARNING, "", 0, "the server says %s", ("\x1b[2J" + "e" * LONG,), None)
    line = SafeFormatter().format(record)
    assert line.startswith("WARNING: the server says ee")
    assert len(line) <= SafeFormatter.LONGEST


def test_a_cell_of_a_table_is_one_line() -> None:
    assert table(["name"], [["a\x1b[2J\nb"]]) == "name\na b"


@pytest.mark.parametrize("piece", ["e", "a.", "://", "rtsp://", "?token=", "@", "://@", "&key=a "])
def test_redaction_of_a_long_text_ends(piece: str) -> None:
    """A search that takes time by the square of the length would need hours for this."""
    assert redact(piece * (LONG // len(piece)))
