"""What the autoscaler asks, answered by Prometheus's own tool on made series."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.support.kubernetes import resources
from tests.support.prometheus import program

pytestmark = pytest.mark.environment
DELIVERED = 'stream_client_frames_total{outcome="delivered"}'
DROPPED = 'stream_client_frames_total{outcome="dropped", reason="replaced"}'
SECONDS = 'stream_client_stage_seconds_sum{stage="round_trip"}'
COUNT = 'stream_client_stage_seconds_count{stage="round_trip"}'


def test_the_autoscaler_has_the_number_of_servers() -> None:
    found = resources("autoscaling")
    assert found["ScaledObject", "ovms"]["spec"]["scaleTargetRef"] == {"name": "ovms"}
    assert "replicas" not in found["Deployment", "ovms"]["spec"]


@pytest.mark.parametrize(
    ("dropped", "seconds", "factor"),
    [
        ("0x80", "0+1.5x80", 0.5),
        ("0x40 0+15x40", "0+1.5x40 60+6x40", 2.4),
        ("0x40 0+15x40", "0+1.5x80", 0.5),
        ("0x80", "0+1.5x40 60+2.0x40", 1),
    ],
    ids=["idle", "full", "dropped for another reason", "in between"],
)
def test_the_factor(dropped: str, seconds: str, factor: float, tmp_path: Path) -> None:
    found = resources("autoscaling")
    (tmp_path / "rules.yml").write_text(json.dumps(found["PrometheusRule", "autoscaling"]["spec"]))
    query = found["ScaledObject", "ovms"]["spec"]["triggers"][0]["metadata"]["query"]
    series = {DELIVERED: "0+15x80", COUNT: "0+15x80", DROPPED: dropped, SECONDS: seconds}
    case = {
        "interval": "15s",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {"expr": f"{query} + 0", "eval_time": "19m", "exp_samples": [{"labels": "{}", "value": factor}]}
        ],
    }
    path = tmp_path / "test.yml"
    path.write_text(json.dumps({"rule_files": ["rules.yml"], "evaluation_interval": "15s", "tests": [case]}))
    done = subprocess.run([program("promtool"), "test", "rules", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
