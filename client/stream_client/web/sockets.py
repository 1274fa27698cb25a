"""Websockets that are sessions: how they begin and end."""

import json
import logging
from collections.abc import Awaitable, Callable

from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from stream_client.errors import StreamClientError
from stream_client.util.redact import redact
from stream_client.web.sessions import Session, Sessions, peer_of

logger = logging.getLogger(__name__)

REFUSED = 1008
"""The close code of RFC 6455 for a rule of ours."""
_LONGEST_REASON = 120
"""Bytes. A frame that closes has room for 123."""


def session_route(
    path: str, kind: str, sessions: Sessions, serve: Callable[[WebSocket, Session], Awaitable[None]]
) -> WebSocketRoute:
    """A route whose websockets are sessions while ``serve`` runs. An error of the library is told, and ends one."""

    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        try:
            with sessions.open(kind, peer_of(websocket.scope)) as session:
                await serve(websocket, session)
        except WebSocketDisconnect:
            pass
        except StreamClientError as error:
            await refuse(websocket, redact(error.message))

    return WebSocketRoute(path, endpoint)


async def refuse(websocket: WebSocket, reason: str) -> None:
    """Say why, and close; the other side may have gone already."""
    try:
        if websocket.application_state is WebSocketState.CONNECTED:
            await websocket.send_text(json.dumps({"error": reason}))
            await websocket.close(REFUSED, reason.encode()[:_LONGEST_REASON].decode(errors="ignore"))
    except (RuntimeError, WebSocketDisconnect):
        logger.debug("the other side has gone before it was told: %s", reason)
