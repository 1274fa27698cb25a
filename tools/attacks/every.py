"""Every attack, in the order in which they run."""

from tools.attacks import server_connections, server_requests

ATTACKS = (*server_requests.ATTACKS, *server_connections.ATTACKS)
