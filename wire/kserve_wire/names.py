"""Names of KServe v2's gRPC service and of OVMS's parameters."""

SERVICE = "inference.GRPCInferenceService"

TIMESTAMP = "OVMS_MP_TIMESTAMP"
"""OVMS's parameter in requests and responses: the timestamp of the packet, int64, in µs."""


def method_path(name: str) -> str:
    """The path of the service's method ``name`` in gRPC."""
    return f"/{SERVICE}/{name}"
