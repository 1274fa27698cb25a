"""The graph runtime. It runs MediaPipe graphs from MediaPipe's text format."""
