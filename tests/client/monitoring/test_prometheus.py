"""Metrics of real runs, over HTTP, in the forms that Prometheus reads."""

import socket
import subprocess
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from stream_client import RunOptions, StreamClient, TransportOptions
from stream_client.cli.command import main
from stream_client.errors import ConfigurationError, MetricsError
from stream_client.events.outputs.factory import open_event_output
from stream_client.events.read import parse_rules
from stream_client.events.sink import EventsSink
from stream_client.monitoring.ledger import LedgerSnapshot
from stream_client.monitoring.options import MetricsOptions
from stream_client.monitoring.prometheus import Metrics, MetricsServer, Monitor, Pushgateway
from stream_client.monitoring.stages import STAGES
from stream_client.monitoring.statistics import Statistics
from stream_client.sinks.base import Sink
from stream_client.sinks.callable import NullSink
from tests.support.kserve_server import ScriptedServer, answer
from tests.support.ports import free_port
from tests.support.prometheus import program, pushgateway

OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}


def scrape(url: str) -> dict[str, list[Sample]]:
    """What a server says, by sample name; parsed by the reference parser, which refuses malformed text."""
    with urllib.request.urlopen(urllib.request.Request(url, headers=OPENMETRICS), timeout=10) as response:
        assert response.headers["Content-Type"].startswith("application/openmetrics-text")
        text = response.read().decode()
    samples: dict[str, list[Sample]] = {}
    for family in text_string_to_metric_families(text):  # type: ignore[no-untyped-call]
        for sample in family.samples:
            samples.setdefault(sample.name, []).append(sample)
    return samples


def run(
    clip: Path, server: ScriptedServer, sinks: Sequence[Sink] = (NullSink(),), **options: Any
) -> dict[str, list[Sample]]:
    """The metrics of a real run, scraped once it is over."""
    statistics = Statistics()
    transport = TransportOptions(server.address, model_name="graph")
    client = StreamClient(str(clip), sinks, transport, options=RunOptions(**options), observers=[statistics])
    with MetricsServer(Metrics([statistics]), port=0) as served:
        assert "stream_client_frames_total" not in scrape(served.url)
        client.run()
        return scrape(served.url)


def values(samples: list[Sample], label: str) -> dict[str, float]:
    return {sample.labels[label]: sample.value for sample in samples}


def test_every_series_says_which_stream_and_model_it_is_of(clip: Path, server: ScriptedServer) -> None:
    own = {name: samples for name, samples in run(clip, server).items() if name.startswith("stream_client_")}
    del own["stream_client_info"]
    for samples in own.values():
        assert {(sample.labels["stream"], sample.labels["model"]) for sample in samples} == {("clip.mp4", "graph")}


def test_stages_add_up_to_the_latency(clip: Path, server: ScriptedServer) -> None:
    samples = run(clip, server)
    sums = values(samples["stream_client_stage_seconds_sum"], "stage")
    assert list(sums) == list(STAGES)
    assert sum(sums.values()) == pytest.approx(samples["stream_client_latency_seconds_sum"][0].value)
    assert set(values(samples["stream_client_stage_seconds_count"], "stage").values()) == {30}


def test_the_counters_are_the_ledgers(clip: Path, server: ScriptedServer) -> None:
    def script(request: Any, number: int) -> Iterator[Any]:
        if number == 3:
            yield "Mediapipe execution failed"
        elif number == 7:
            yield answer(request, "output")
            yield answer(request, "output")
        else:
            yield answer(request, "output")

    server.script = script
    samples = run(clip, server, max_inflight=1)
    outcomes: dict[str, float] = {}
    for sample in samples["stream_client_frames_total"]:
        outcomes[sample.labels["outcome"]] = outcomes.get(sample.labels["outcome"], 0) + sample.value
    assert outcomes == {"delivered": 29, "dropped": 0, "failed": 1}
    assert samples["stream_client_frames_entered_total"][0].value == sum(outcomes.values())
    assert sum(values(samples["stream_client_answers_ignored_total"], "reason").values()) == 1


def test_events_are_counted_by_rule_and_their_messages_by_output(
    clip: Path, server: ScriptedServer, tmp_path: Path
) -> None:
    rules = [{"name": "even", "when": "frame % 2 == 0", "gap": 0}, {"name": "never", "when": "frame < 0"}]
    away = f"http://127.0.0.1:{free_port()}/?token=a"
    outputs = [open_event_output(name) for name in (str(tmp_path / "events.jsonl"), away)]
    sink = EventsSink(parse_rules({"rule": rules}), outputs, folder=tmp_path / "found")
    samples = run(clip, server, [sink])
    assert values(samples["stream_client_events_total"], "rule") == {"even": 15, "never": 0}
    counts = {
        (sample.labels["output"].partition(" ")[0], sample.labels["outcome"]): sample.value
        for sample in samples["stream_client_event_messages_total"]
    }
    file, webhook = "events", outputs[1].name
    assert {key for key, count in counts.items() if count} == {(file, "sent")}
    assert counts[file, "sent"] == 30  # a begin and an end each
    assert {output for output, _ in counts} == {file, webhook}
    waiting = {sample.labels["output"]: sample.value for sample in samples["stream_client_event_messages_waiting"]}
    assert (waiting[outputs[0].name], waiting[webhook]) == (0, 30)


def test_reasons_are_there_before_anything_was_dropped_so_that_rates_start_at_zero(
    clip: Path, server: ScriptedServer
) -> None:
    reasons = values(run(clip, server)["stream_client_frames_total"], "reason")
    assert reasons["replaced"] == reasons["deadline"] == 0


def test_bytes_are_counted_both_ways(clip: Path, server: ScriptedServer) -> None:
    samples = run(clip, server)
    sent = sum(len(request.SerializeToString()) for request in server.requests)
    assert samples["stream_client_sent_bytes_total"][0].value == sent
    assert samples["stream_client_received_bytes_total"][0].value > 30 * 64 * 48 * 3


def test_states_say_how_source_server_and_sinks_are(clip: Path, server: ScriptedServer) -> None:
    states = {
        sample.labels["connection"]: sample.labels["stream_client_connection_state"]
        for sample in run(clip, server)["stream_client_connection_state"]
        if sample.value
    }
    assert states == {"source": "ended", "server": "ended", "none": "ended"}


def test_gauges_follow_losses_and_answers_too(clip: Path, server: ScriptedServer) -> None:
    samples = run(clip, server, max_inflight=3)
    assert samples["stream_client_in_flight_frames"][0].value == 0
    assert samples["stream_client_window_frames"][0].value == 3
    assert values(samples["stream_client_queue_frames"], "queue") == {"send": 0, "none": 0}
    assert samples["stream_client_frame_rate_hertz"][0].value > 0


def test_several_runs_share_one_endpoint(clip: Path, server: ScriptedServer) -> None:
    runs = [Statistics(), Statistics()]
    for statistics in runs:
        statistics.started(f"stream {runs.index(statistics)}", "graph", LedgerSnapshot)
    with MetricsServer(Metrics(runs), port=0) as served:
        entered = values(scrape(served.url)["stream_client_frames_entered_total"], "stream")
    assert entered == {"stream 0": 0, "stream 1": 0}


def test_passwords_are_not_in_labels() -> None:
    statistics = Statistics()
    statistics.started("rtsp://user:secret@camera/1", "graph", LedgerSnapshot)
    statistics.state("rtsp://user:secret@camera/2", "live")
    statistics.sink_written("rtsp://user:secret@camera/2", 0.1, 0.1)
    with (
        MetricsServer(Metrics([statistics]), port=0) as served,
        urllib.request.urlopen(served.url, timeout=10) as response,
    ):
        assert b"secret" not in response.read()


def test_a_port_that_is_taken_is_one_clear_line(
    clip: Path, server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        flags = ["--input_stream", str(clip), "--output_stream", "none", "--grpc_address", server.address]
        assert main([*flags, "--metrics_port", port]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"error: metrics cannot be served on 127.0.0.1, port {port}: Address already in use (--metrics_port)"
    ]


@pytest.mark.parametrize(
    ("port", "address", "option"), [(70_000, "127.0.0.1", "metrics_port"), (0, "192.0.2.1", "metrics_address")]
)
def test_ports_and_addresses_that_cannot_be_are_refused(port: int, address: str, option: str) -> None:
    with pytest.raises(ConfigurationError, match=rf" \({option}\)$"):
        Monitor(Statistics(), MetricsOptions(metrics_port=port, metrics_address=address))


def test_a_closed_server_frees_its_port() -> None:
    with MetricsServer(Metrics([]), port=0) as served:
        port = int(served.url.split(":")[2].split("/")[0])
    with MetricsServer(Metrics([]), port=port):
        pass


def test_a_run_from_the_command_line_says_where_its_metrics_are(
    clip: Path, server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--input_stream", str(clip), "--output_stream", "none", "--grpc_address", server.address]
    assert main([*flags, "--model_name", "graph", "--metrics_port", "0"]) == 0
    assert "metrics: http://127.0.0.1:" in capsys.readouterr().err


def test_a_short_run_is_pushed_to_a_pushgateway(clip: Path, server: ScriptedServer) -> None:
    flags = ["--input_stream", str(clip), "--output_stream", "none", "--grpc_address", server.address]
    with pushgateway() as url:
        assert main([*flags, "--model_name", "graph", "--pushgateway", url]) == 0
        with urllib.request.urlopen(f"{url}/metrics", timeout=10) as response:
            pushed = response.read().decode()
    (line,) = [line for line in pushed.splitlines() if line.startswith("stream_client_latency_seconds_count")]
    assert 'job="stream_client"' in line
    assert line.endswith(" 30")


def test_a_pushgateway_may_ask_for_a_password(tmp_path: Path) -> None:
    # The hash of "test", from Prometheus's own guide to basic authentication.
    hashed = "$2b$12$hNf2lSsxfm0.i4a.1kVpSOVyBCfIB51VRjgBUyv6kdnyTlgWj81Ay"
    (tmp_path / "web.yml").write_text(f"basic_auth_users: {{admin: {hashed}}}\n")
    with pushgateway(f"--web.config.file={tmp_path / 'web.yml'}") as url:
        Pushgateway(url.replace("//", "//admin:test@")).push(Metrics([]))
        with pytest.raises(MetricsError, match="Unauthorized") as refused:
            Pushgateway(url.replace("//", "//admin:wrong@")).push(Metrics([]))
    assert "wrong" not in str(refused.value)


def test_a_pushgateway_that_is_away_is_a_warning_and_not_the_runs_failure(
    clip: Path, server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    flags = ["--input_stream", str(clip), "--output_stream", "none", "--grpc_address", server.address]
    assert main([*flags, "--model_name", "graph", "--pushgateway", "http://me:secret@127.0.0.1:1"]) == 0
    (record,) = [record for record in caplog.records if "(pushgateway)" in record.message]
    assert "secret" not in record.message


@pytest.mark.parametrize("url", ["ftp://host", "http://", "/a/path", "host:port", "host:99999"])
def test_what_is_no_address_of_a_pushgateway_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"\(pushgateway\)$"):
        Monitor(Statistics(), MetricsOptions(pushgateway=url))
    with pytest.raises(MetricsError, match=r"\(pushgateway\)$"):
        Pushgateway("127.0.0.1:1").push(Metrics([]))


def test_metrics_are_made_without_any_run_going_on() -> None:
    """What the registry holds is well formed by promtool's own rules too."""
    statistics = Statistics()
    statistics.started("in.mp4", "graph", LedgerSnapshot)
    with (
        MetricsServer(Metrics([statistics]), port=0) as served,
        urllib.request.urlopen(served.url, timeout=10) as response,
    ):
        text = response.read()
    checked = subprocess.run([program("promtool"), "check", "metrics"], input=text, capture_output=True, check=False)
    assert checked.returncode == 0, checked.stderr.decode()
