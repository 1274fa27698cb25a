"""The trace that a request names."""

import pytest

from kserve_wire.tracing import TraceParent, parse_trace_parent

EXAMPLE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
"""W3C's own."""


def test_a_trace_is_written_as_it_is_read() -> None:
    parent = TraceParent(0x4BF92F3577B34DA6A3CE929D0E0E4736, 0x00F067AA0BA902B7)
    assert str(parent) == EXAMPLE
    assert parse_trace_parent(EXAMPLE) == parent
    assert str(TraceParent(1, 2)) == f"00-{1:032x}-{2:016x}-01"


@pytest.mark.parametrize(
    "text",
    [
        "",
        EXAMPLE[:-1],
        EXAMPLE + "0",
        EXAMPLE + "\n",
        EXAMPLE.upper(),
        EXAMPLE[:-2] + "00",  # not sampled
        "01" + EXAMPLE[2:],
        f"00-{0:032x}-00f067aa0ba902b7-01",
        f"00-4bf92f3577b34da6a3ce929d0e0e4736-{0:016x}-01",
        "x" * 1_000_000,
    ],
    ids=range(10),
)
def test_what_names_no_trace_is_passed_over(text: str) -> None:
    assert parse_trace_parent(text) is None
