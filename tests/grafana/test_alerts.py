"""The alert rules, by Prometheus's own tool; what they test stands in alerts.yml beside this file."""

import subprocess

import pytest
import yaml

from tests.conftest import ROOT
from tests.support.prometheus import program

RULES = ROOT / "grafana" / "alerts.yml"
TESTS = ROOT / "tests" / "grafana" / "alerts.yml"


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "rules", RULES),
        ("test", "rules", TESTS),
        ("check", "config", "--syntax-only", ROOT / "docker" / "prometheus.yml"),
    ],
    ids=lambda words: " ".join(map(str, words[:2])),
)
def test_promtool_is_content(arguments: tuple[object, ...]) -> None:
    done = subprocess.run([program("promtool"), *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_rule_has_a_test_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    rules = {rule["alert"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]}
    cases = [case for each in yaml.safe_load(TESTS.read_text())["tests"] for case in each["alert_rule_test"]]
    assert {case["alertname"] for case in cases if case.get("exp_alerts")} == rules
    assert {case["alertname"] for case in cases if not case.get("exp_alerts")} == rules
