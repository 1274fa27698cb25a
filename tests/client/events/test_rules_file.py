"""Rules in TOML: what is wrong is named."""

from pathlib import Path

import pytest

from stream_client.errors import ConfigurationError
from stream_client.events.read import read_rules
from stream_client.events.rules import LineRule, StateRule

GOOD = """
size = [640, 360]

[[rule]]
name = "fallen"
sequence = [{ label = "falling", for = 0.5 }, { label = "lying", for = 10, within = 2 }]

[[rule]]
name = "kitchen"
class = "person"
zone = [[0, 0], [320, 0], [320, 360]]
for = 30

[[rule]]
name = "door"
line = [[320, 0], [320, 360]]
direction = "left"

[[rule]]
name = "hands up"
when = "pose.left_wrist.y < pose.nose.y"
"""


def test_a_file_gives_its_rules(tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text(GOOD)
    fallen, kitchen, door, hands = read_rules(tmp_path / "rules.toml")
    assert isinstance(fallen, StateRule)
    assert [(step.condition.label, step.held) for step in fallen.steps] == [("falling", 500_000), ("lying", 10_000_000)]
    assert isinstance(kitchen, StateRule)
    assert kitchen.each
    assert isinstance(door, LineRule)
    assert door.line.start == (0.5, 0)
    assert isinstance(hands, StateRule)
    assert not hands.each


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("rule = 1", r"\[\[rule\]\] tables are expected"),
        ("[[rule", "no TOML"),
        ("[[rule]]\nlabel = 'a'", "rule 1, name:"),
        ("[[rule]]\nname = 'a/b'\nlabel = 'a'", "without / +"),
        ("[[rule]]\nname = 'a'\nlable = 'a'", "rule 'a', lable: not known here: .*label"),
        ("[[rule]]\nname = 'a'", "a label, class, zone, when, at_least or at_most is needed"),
        ("[[rule]]\nname = 'a'\nlabel = 'x'\nfor = -1", "for: a number from 0"),
        ("[[rule]]\nname = 'a'\nlabel = 'x'\nfor = inf", "for: a number from 0"),
        ("[[rule]]\nname = 'a'\nlabel = 7", "label: 7 is no str"),
        ("[[rule]]\nname = 'a'\nzone = [[0, 0], [1, 1]]", "zone: three points"),
        ("[[rule]]\nname = 'a'\nzone = [[0, 0], [320, 0], [1, 1]]", "zone: a point is far outside"),
        ("[[rule]]\nname = 'a'\nline = [[0, 0], [0, 0]]", "line: two points"),
        ("[[rule]]\nname = 'a'\nline = [[0, 0], [1, 1]]\ndirection = 'up'", "direction: one of any, left, right"),
        ("[[rule]]\nname = 'a'\nwhen = 'foo > 1'", "rule 'a': .*'foo' is not known"),
        ("[[rule]]\nname = 'a'\nwhen = 'track > 1'", "'track' is not known"),
        ("[[rule]]\nname = 'a'\nlabel = 'x'\nsequence = [{ label = 'y' }]", "sequence: label belongs into its steps"),
        ("[[rule]]\nname = 'a'\nsequence = [{ lable = 'y' }]", "step 1, lable: not known"),
        ("[[rule]]\nname = 'a'\nzone = [[0, 0], [0, 1], [1, 1]]\neach = false", "each: a zone"),
        ("[[rule]]\nname = 'a'\nlabel = 'x'\n[[rule]]\nname = 'a'\nlabel = 'y'", "two rules are called 'a'"),
    ],
)
def test_a_mistake_is_one_line_that_names_rule_and_key(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text(text)
    with pytest.raises(ConfigurationError, match=told) as caught:
        read_rules(tmp_path / "rules.toml")
    assert "rules.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_rules_may_be_given_as_a_text(tmp_path: Path) -> None:
    assert len(read_rules(GOOD, "fall")) == 5
    with pytest.raises(ConfigurationError, match=r"^the rules: \[\[rule\]\] tables are expected"):
        read_rules("name = 'x'\nwhen = 'true'")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot read rules from .*none\.toml: No such file"):
        read_rules(tmp_path / "none.toml")
