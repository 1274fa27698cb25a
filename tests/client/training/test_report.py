"""The tables that a training prints."""

import numpy as np

from stream_client.training.report import confusion_table


def test_a_label_that_was_never_held_out_has_no_recall() -> None:
    lines = confusion_table(np.array([[3, 1], [0, 0]]), ["jump", "stand"]).splitlines()
    assert [line.split()[-1] for line in lines] == ["recall", "75.0%", "-"]
