"""Names of KServe v2's gRPC service and of OVMS's parameters."""

SERVICE = "inference.GRPCInferenceService"

TIMESTAMP = "OVMS_MP_TIMESTAMP"
"""OVMS's parameter of requests and responses: the packet's timestamp, int64, in µs."""


def method_path(name: str) -> str:
    """The path of the service's method ``name``, as gRPC calls it."""
    return f"/{SERVICE}/{name}"
