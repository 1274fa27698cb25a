"""The wire: KServe v2 over gRPC and REST, as OVMS speaks it."""
