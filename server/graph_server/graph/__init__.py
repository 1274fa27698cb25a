"""The graph runtime: MediaPipe graphs, read from the same text format."""
