import pytest

from stream_client.training.clips import Span
from stream_client.training.cutting import unlabeled


def test_unlabelled_time_is_cut_into_pieces_outside_the_spans() -> None:
    spans = (Span(1.0, 2.0, "a"), Span(2.1, 3.0, "b"))
    pieces = unlabeled(spans, 10.0, 0.5, "unknown")
    assert pieces[0] == Span(0.0, 1.0, "unknown")
    assert pieces[-1].end == pytest.approx(10.0)
    assert all(piece.end <= 1.0 or piece.start >= 3.0 for piece in pieces)
    assert all(0.5 <= piece.end - piece.start <= 2.0 for piece in pieces)
