"""The type that a network computes in: what a configuration says of it, and what this processor has."""

from collections.abc import Mapping
from typing import Any

from graph_server.models.runtime import default_precision

HINT = "INFERENCE_PRECISION_HINT"
"""OpenVINO's key for it."""


def wanted_precision(plugin_config: Mapping[str, Any]) -> str:
    """The type to compute in, such as ``bf16``: what the configuration says, else this processor's default."""
    return str(plugin_config.get(HINT) or default_precision())


def may_round(plugin_config: Mapping[str, Any]) -> bool:
    """Whether parts may compute in bfloat16 where results hardly change, beside the configured ``f32``.

    This processor has it, and the configuration says ``"EXECUTION_MODE_HINT": "PERFORMANCE"``, which has no effect
    beside ``f32`` in OpenVINO, and so in OVMS.
    """
    performance = plugin_config.get("EXECUTION_MODE_HINT") == "PERFORMANCE"
    return performance and wanted_precision(plugin_config) == "f32" and default_precision() == "bf16"
