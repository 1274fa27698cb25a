"""KServe v2 over gRPC: codec, streaming and unary sessions, control plane."""
