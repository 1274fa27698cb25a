"""Every attack, in the order in which they run."""

from tools.attacks import (
    client_answers,
    client_kills,
    client_metrics,
    client_rtsp,
    server_connections,
    server_contents,
    server_requests,
    server_shared_memory,
)

ATTACKS = (
    *server_requests.ATTACKS,
    *server_connections.ATTACKS,
    *server_shared_memory.ATTACKS,
    *server_contents.ATTACKS,
    *client_answers.ATTACKS,
    *client_rtsp.ATTACKS,
    *client_metrics.ATTACKS,
    *client_kills.ATTACKS,
)
