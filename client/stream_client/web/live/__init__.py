"""Live cameras of browsers."""

from stream_client.web.live.routes import routes

__all__ = ["routes"]
