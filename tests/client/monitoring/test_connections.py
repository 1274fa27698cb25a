"""The states of source, server and sinks, with time as a number."""

from stream_client.monitoring.connections import Connections, ConnectionSummary


def test_losses_reconnections_and_time_away_are_counted() -> None:
    now = 0.0
    connections = Connections(clock=lambda: now)
    for at, state in [(0, "connecting"), (1, "live"), (5, "lost"), (6, "connecting"), (8, "live"), (9, "lost")]:
        now = float(at)
        connections.state("source", state)  # type: ignore[arg-type]
    assert connections.snapshot()["source"] == ConnectionSummary("lost", losses=2, reconnections=1, away=3.0)
    now = 10.5
    connections.state("source", "ended")
    assert connections.snapshot()["source"] == ConnectionSummary("ended", losses=2, reconnections=1, away=4.5)
    assert connections.snapshot()["source"].line() == "lost 2 times, back once, away for 4.5 s"


def test_peers_are_told_apart_and_a_first_connection_is_no_reconnection() -> None:
    connections = Connections()
    connections.state("server", "connecting")
    connections.state("server", "live")
    connections.state("rtsp://host/x", "connecting")
    found = connections.snapshot()
    assert {name: connection.state for name, connection in found.items()} == {
        "server": "live",
        "rtsp://host/x": "connecting",
    }
    assert found["server"].reconnections == 0
