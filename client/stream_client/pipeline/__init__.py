"""The way of a frame: from the source through the server to the sinks."""
