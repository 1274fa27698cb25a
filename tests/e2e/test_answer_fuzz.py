"""A few of the mutated answers that `make fuzz` sends to the client."""

from tests.fuzz.answers import parse_and_build, whole_runs


def test_mutated_answers_are_taken_or_refused_with_an_error_of_ours() -> None:
    outcomes = parse_and_build(1500, seed=5)
    assert sum(outcomes.values()) == 1500
    assert outcomes["taken"] > 300


def test_runs_with_mutated_answers_end_and_their_ledgers_add_up() -> None:
    assert sum(whole_runs(3, seed=5).values()) == 3
