"""Events from the command line."""

import json
from pathlib import Path

import av

from tests.client.events.test_schema import check
from tests.support.client import run_client

RULES = """
[[rule]]
name = "later"
when = "time >= 0.5"
"""


def test_rules_give_events_with_snapshots_and_clips(clip: Path, tmp_path: Path, pass_through_server: str) -> None:
    (tmp_path / "rules.toml").write_text(RULES)
    flags = ["--grpc_address", pass_through_server, "--model_name", "passThrough", "--input_stream", clip]
    flags += ["--events", tmp_path / "rules.toml", "--events_dir", tmp_path / "found", "--clip_seconds", "0.2,1"]
    flags += ["--events_output", tmp_path / "a.jsonl", "--events_output", "-", "--stream_name", "door"]
    done = run_client(*flags)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (tmp_path / "a.jsonl").read_text()
    assert "1 event found (later: 1)" in done.stderr
    for output in (f"events {tmp_path / 'a.jsonl'}", "events -"):
        assert f"{output}: 3 messages sent, 0 dropped, 0 refused, 0 not delivered" in done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    for row in rows:
        check(row)
    assert [(row["phase"], row["begin"], row["stream"]) for row in rows] == [
        ("begin", 0.5, "door"),
        ("end", 0.5, "door"),
        ("clip", 0.5, "door"),
    ]
    assert Path(rows[0]["snapshot"]).stat().st_size
    with av.open(rows[2]["clip"]) as container:
        assert len(list(container.decode(video=0))) >= 15 + 6


def test_wrong_rules_are_told_before_anything_starts(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text("[[rule]]\nname = 'a'\nlable = 'b'\n")
    done = run_client("--input_stream", clip, "--events", tmp_path / "rules.toml")
    assert done.returncode == 2
    assert "rule 'a', lable: not known here" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
