from pathlib import Path

import pytest

from stream_client.errors import ConfigurationError
from stream_client.training.clips import Span, chosen
from stream_client.training.cutting import unlabeled


def test_labels_that_overlap_have_to_be_chosen_from() -> None:
    spans = [Span(0, 2, "left"), Span(0, 2, "good"), Span(2, 3, "right")]
    with pytest.raises(ConfigurationError, match=r"out of good, left, right \(labels\)"):
        chosen(spans, None, Path("x.json"))
    assert chosen(spans, ["left", "right"], Path("x.json")) == (spans[0], spans[2])


def test_unlabelled_time_is_cut_into_pieces_outside_the_spans() -> None:
    spans = (Span(1.0, 2.0, "a"), Span(2.1, 3.0, "b"))
    pieces = unlabeled(spans, 10.0, 0.5, "unknown")
    assert pieces[0] == Span(0.0, 1.0, "unknown")
    assert pieces[-1].end == pytest.approx(10.0)
    assert all(piece.end <= 1.0 or piece.start >= 3.0 for piece in pieces)
    assert all(0.5 <= piece.end - piece.start <= 2.0 for piece in pieces)
