"""The tables that a training prints."""

import numpy as np

from stream_client.training.estimators import Scores
from stream_client.training.report import comparison_table, confusion_table, not_held_out


def test_a_label_that_was_never_held_out_has_no_recall() -> None:
    lines = confusion_table(np.array([[3, 1], [0, 0]]), ["jump", "stand"]).splitlines()
    assert [line.split()[-1] for line in lines] == ["recall", "75.0%", "-"]


def test_a_single_fold_has_no_error_and_a_label_that_it_lacks_is_named() -> None:
    once = Scores("forest", (np.array([[3, 1], [0, 0]]),), np.zeros((0, 2)))
    twice = Scores("forest", (np.array([[3, 1], [0, 4]]), np.array([[4, 0], [1, 3]])), np.zeros((0, 2)))
    assert comparison_table([once], {}) == "forest   75.00% (a single fold)"
    assert comparison_table([twice], {}) == "forest   87.50% ± 0.00%"
    assert not_held_out(once, ["jump", "stand"]).startswith("No sample of stand was held out")
    assert not_held_out(twice, ["jump", "stand"]) == ""
