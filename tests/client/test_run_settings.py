"""A run from a mapping of settings, as a file of streams or a form gives them."""

from pathlib import Path

import pytest

from stream_client.errors import ConfigurationError
from stream_client.run_files import files_written
from stream_client.run_settings import check_names, make_client, run_settings


def test_every_setting_has_a_name_of_its_own() -> None:
    settings = run_settings()
    assert {"input_stream", "output_stream", "grpc_address", "tracker", "max_inflight"} <= set(settings)
    assert all(name == each.name for name, each in settings.items())


def test_a_name_that_is_no_setting_is_refused_with_the_nearest() -> None:
    check_names({"input_stream": "0", "tls": True})
    with pytest.raises(ConfigurationError, match="inptu_stream is no setting of a run; did you mean input_stream"):
        check_names({"inptu_stream": "0"})


def test_a_run_needs_no_flags(tmp_path: Path, pass_through_server: str) -> None:
    labels = tmp_path / "labels.jsonl"
    given = {
        "input_stream": "testsrc:160x120@30",
        "labels_output": str(labels),
        "grpc_address": pass_through_server,
        "model_name": "passThrough",
        "drop_policy": "block",
        "limit_frames": 5,
    }
    assert files_written(given) == [("labels_output", labels)]
    summary = make_client(given).run()
    assert summary.ledger.delivered == 5
    assert len(labels.read_text().splitlines()) == 5


def test_an_output_may_not_be_the_source(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    clip.touch()
    with pytest.raises(ConfigurationError, match="is named twice, by input_stream too"):
        make_client({"input_stream": str(clip), "output_stream": str(clip)})
