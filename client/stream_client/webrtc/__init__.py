"""WebRTC sessions that are begun over HTTP: WHIP (RFC 9725) and WHEP, with aiortc."""
