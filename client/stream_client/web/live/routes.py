"""``/ws/live``: the websocket of a browser's camera."""

from starlette.routing import BaseRoute
from starlette.websockets import WebSocket

from stream_client.web.live.session import LiveSession
from stream_client.web.sessions import Session
from stream_client.web.sockets import session_route
from stream_client.web.state import State


def routes(state: State) -> list[BaseRoute]:
    """What the application serves for live sessions."""

    async def live(websocket: WebSocket, session: Session) -> None:
        await LiveSession(state, websocket, session).serve()

    return [session_route("/ws/live", "websocket", state.sessions, live)]
