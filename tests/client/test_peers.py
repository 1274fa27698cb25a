"""The states of source, server and sinks, with time as a number."""

from stream_client.peers import Peers, PeerSummary


def test_losses_reconnections_and_time_away_are_counted() -> None:
    now = 0.0
    peers = Peers(clock=lambda: now)
    for at, state in [(0, "connecting"), (1, "live"), (5, "lost"), (6, "connecting"), (8, "live"), (9, "lost")]:
        now = float(at)
        peers.state("source", state)  # type: ignore[arg-type]
    assert peers.snapshot()["source"] == PeerSummary("lost", losses=2, reconnections=1, away=3.0)
    now = 10.5
    peers.state("source", "ended")
    assert peers.snapshot()["source"] == PeerSummary("ended", losses=2, reconnections=1, away=4.5)
    assert peers.snapshot()["source"].line() == "lost 2 times, back once, away for 4.5 s"


def test_peers_are_told_apart_and_a_first_connection_is_no_reconnection() -> None:
    peers = Peers()
    peers.state("server", "connecting")
    peers.state("server", "live")
    peers.state("rtsp://host/x", "connecting")
    found = peers.snapshot()
    assert {name: peer.state for name, peer in found.items()} == {"server": "live", "rtsp://host/x": "connecting"}
    assert found["server"].reconnections == 0
