"""Streams of gRPC over HTTP/2 of our own: frames go from memory to the socket, and back, with no copy between."""
