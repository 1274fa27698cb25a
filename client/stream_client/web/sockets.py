"""How a websocket ends."""

import json
import logging

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

logger = logging.getLogger(__name__)

REFUSED = 1008
"""The close code of RFC 6455 for a rule of ours."""
_LONGEST_REASON = 120
"""Bytes. A frame that closes has room for 123."""


async def refuse(websocket: WebSocket, reason: str) -> None:
    """Say why, and close; the other side may have gone already."""
    try:
        if websocket.application_state is WebSocketState.CONNECTED:
            await websocket.send_text(json.dumps({"error": reason}))
            await websocket.close(REFUSED, reason.encode()[:_LONGEST_REASON].decode(errors="ignore"))
    except (RuntimeError, WebSocketDisconnect):
        logger.debug("the other side has gone before it was told: %s", reason)
