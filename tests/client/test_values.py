"""Small parts: labels, overlay, ledger, back-off, events, queue."""

import random
import threading
from pathlib import Path

import numpy as np
import pytest

from stream_client.errors import ConfigurationError, LedgerError
from stream_client.frames import Label
from stream_client.monitoring.ledger import Ledger
from stream_client.processing.labels import decode_scores, read_label_names
from stream_client.processing.overlay import draw_label
from stream_client.util.backoff import Backoff
from stream_client.util.bounded_queue import BoundedQueue
from stream_client.util.events import Event


def test_the_best_score_names_the_label_and_zeros_mean_nobody() -> None:
    label = decode_scores(np.array([[0.1, 0.7, 0.2]], np.float32), ["a", "b", "c"])
    assert label is not None
    assert (label.name, round(label.score, 3), sorted(label.scores)) == ("b", 0.7, ["a", "b", "c"])
    assert decode_scores(np.zeros((1, 3)), ["a", "b", "c"]) is None
    unnamed = decode_scores(np.array([0.1, 0.9]), ["a", "b", "c"])
    assert unnamed is not None
    assert unnamed.name == "1"


def test_label_names_are_lines_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("standing\n\n squatting \n")
    assert read_label_names(tmp_path / "labels.txt") == ("standing", "squatting")
    (tmp_path / "empty.txt").touch()
    with pytest.raises(ConfigurationError, match="no label names"):
        read_label_names(tmp_path / "empty.txt")


def test_a_label_is_written_in_the_corner_of_a_copy() -> None:
    image = np.full((240, 320, 3), 100, np.uint8)
    drawn = draw_label(image, Label("standing", 0.97, {}))
    assert (image == 100).all()
    assert drawn[:30, :100].max() == 255
    assert (drawn[60:] == 100).all()
    tiny = draw_label(image[:8, :8], Label("standing", 0.97, {}))
    assert tiny.shape == (8, 8, 3)


def test_a_ledger_that_does_not_add_up_says_so() -> None:
    ledger = Ledger()
    ledger.enter()
    ledger.enter()
    ledger.deliver()
    with pytest.raises(LedgerError, match="1 unaccounted"):
        ledger.snapshot().check()
    ledger.drop("replaced")
    ledger.snapshot().check()
    assert ledger.snapshot().line() == "2 frames: 1 delivered, 1 dropped (replaced by a newer one: 1), 0 failed"


def test_back_off_grows_to_its_bound_with_jitter() -> None:
    backoff = Backoff(first=0.1, longest=2.0, source=random.Random(0))
    delays = [backoff.next() for _ in range(12)]
    ceilings = [min(2.0, 0.1 * 2**attempt) for attempt in range(12)]
    assert all(ceiling / 2 <= delay <= ceiling for delay, ceiling in zip(delays, ceilings, strict=True))
    backoff.reset()
    assert backoff.next() <= 0.1


def test_unsubscribing_twice_is_harmless() -> None:
    event: Event[[int]] = Event()
    seen: list[int] = []
    unsubscribe = event.subscribe(seen.append)
    event(1)
    unsubscribe()
    unsubscribe()
    event(2)
    assert seen == [1]


def test_a_closed_queue_wakes_both_sides() -> None:
    queue: BoundedQueue[int] = BoundedQueue(1)
    assert queue.put(1)
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(queue.put(2)))
    thread.start()
    queue.close()
    thread.join(5)
    assert answers == [False]
    assert (queue.get(), queue.get()) == (1, None)
