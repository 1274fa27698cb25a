"""The websockets and requests of live sessions."""

from starlette.routing import BaseRoute

from stream_client.web.state import State


def routes(state: State) -> list[BaseRoute]:
    """What the application serves for live sessions."""
    return []
