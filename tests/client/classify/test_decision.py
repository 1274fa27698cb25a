import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_client.classify.decision import (
    UNKNOWN,
    Decision,
    DecisionOptions,
    LabelChange,
    LabelState,
    RepetitionCounter,
)
from stream_client.errors import ConfigurationError

SHARP = DecisionOptions(smoothing=0, enter=0.6, exit=0.4)


def test_a_label_is_entered_high_and_left_low() -> None:
    decision = Decision(SHARP)
    labels = [decision.update(t, {"up": p, "down": 1 - p}).label for t, p in enumerate([0.5, 0.65, 0.5, 0.41, 0.3])]
    assert labels == [UNKNOWN, "up", "up", "up", "down"]


def test_without_probabilities_the_label_is_unknown_at_once() -> None:
    decision = Decision(DecisionOptions(smoothing=5))
    decision.update(0, {"up": 1.0})
    state = decision.update(0.1, None)
    assert (state.label, state.confidence, dict(state.scores)) == (UNKNOWN, 0.0, {})


def test_smoothing_depends_on_time_and_not_on_the_number_of_answers() -> None:
    slow, fast = Decision(DecisionOptions(smoothing=1)), Decision(DecisionOptions(smoothing=1))
    for decision, steps in ((slow, 10), (fast, 100)):
        decision.update(0, {"up": 0.0})
        for step in range(1, steps + 1):
            decision.update(step / steps, {"up": 1.0})
    assert slow.state.scores["up"] == pytest.approx(fast.state.scores["up"])
    assert slow.state.scores["up"] == pytest.approx(0.632, abs=0.001)


def test_changes_are_told_once_each() -> None:
    decision = Decision(SHARP)
    changes: list[LabelChange] = []
    unsubscribe = decision.on_label_change.subscribe(changes.append)
    for time, scores in enumerate([{"up": 0.9}, {"up": 0.9}, {"up": 0.1}, None, {"up": 0.9}]):
        decision.update(time, scores)
    assert [(change.time, change.before, change.label) for change in changes] == [
        (0, UNKNOWN, "up"),
        (2, "up", UNKNOWN),
        (4, UNKNOWN, "up"),
    ]
    unsubscribe()
    decision.update(5, None)
    assert len(changes) == 3


def test_after_a_long_silence_the_average_starts_anew() -> None:
    decision = Decision(DecisionOptions(smoothing=1, forget=2))
    decision.update(0, {"up": 1.0})
    assert decision.update(10, {"up": 0.2}).scores["up"] == 0.2


@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=50), st.floats(0, 3))
def test_a_label_is_never_given_below_the_exit_threshold(values: list[float | None], smoothing: float) -> None:
    decision = Decision(DecisionOptions(smoothing=smoothing))
    for step, value in enumerate(values):
        state = decision.update(step / 10, None if value is None else {"up": value, "down": 1 - value})
        assert 0 <= state.confidence <= 1 + 1e-9
        assert state.label == UNKNOWN or (state.confidence >= 0.4 and value is not None)


def _state(value: float | None) -> LabelState:
    return LabelState(0, "x", 0, {} if value is None else {"down": value})


def test_a_repetition_counts_when_it_is_over_and_a_quiver_does_not() -> None:
    counter = RepetitionCounter("down")
    counts = [counter.update(_state(value)) for value in (0.1, 0.7, 0.5, 0.65, 0.39, 0.5, 0.1, 0.9, 0.2)]
    assert counts == [0, 0, 0, 0, 1, 1, 1, 1, 2]


def test_a_person_who_leaves_in_the_middle_has_not_finished_a_repetition() -> None:
    counter = RepetitionCounter("down")
    for value in (0.9, None, 0.1):
        counter.update(_state(value))
    assert counter.count == 0


def test_thresholds_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"exit 0\.8, enter 0\.6"):
        DecisionOptions(enter=0.6, exit=0.8)
    with pytest.raises(ConfigurationError, match="repetitions"):
        RepetitionCounter("down", enter=0.2, exit=0.3)
