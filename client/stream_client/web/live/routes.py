"""``/ws/live``: the websocket of a browser's camera."""

from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from stream_client.errors import StreamClientError
from stream_client.util.redact import redact
from stream_client.web.live.session import LiveSession
from stream_client.web.sessions import peer_of
from stream_client.web.sockets import refuse
from stream_client.web.state import State


def routes(state: State) -> list[BaseRoute]:
    """What the application serves for live sessions."""

    async def live(websocket: WebSocket) -> None:
        await websocket.accept()
        try:
            with state.sessions.open("websocket", peer_of(websocket.scope)) as session:
                await LiveSession(state, websocket, session).serve()
        except WebSocketDisconnect:
            pass
        except StreamClientError as error:
            await refuse(websocket, redact(error.message))

    return [WebSocketRoute("/ws/live", live)]
