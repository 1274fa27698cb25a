"""``ovms-stream-client``: only here are arguments parsed."""

from stream_client.cli.command import main

__all__ = ["main"]
