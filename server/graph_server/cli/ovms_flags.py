"""Flags of OVMS that the graph server only knows by name, with the reason.

Source: src/cli_parser.cpp, src/graph_export/*_cli_parser.cpp.
"""

from collections.abc import Mapping, Sequence

_GENERATIVE = "it is for generative models, which OVMS serves and the graph server does not"
_CONFIGURATIONS = "it edits or lists configurations: write the entry by hand, and `check` it"

_GENERATIVE_FLAGS = (
    "pull", "source_model", "source_loras", "gguf_filename", "overwrite_models", "weight-format",
    "extra_quantization_params", "task", "configure", "cache_interval_multiplier", "cache_size",
    "default_num_inference_steps", "default_resolution", "draft_source_model", "dynamic_split_fuse",
    "enable_prefix_caching", "enable_tool_guided_generation", "guidance_scale", "kv_cache_precision",
    "max_allowed_chunks", "max_num_batched_tokens", "max_num_images_per_prompt", "max_num_inference_steps",
    "max_num_seqs", "max_prompt_len", "max_resolution", "model_distribution_policy", "model_type", "normalize",
    "num_images_per_prompt", "num_streams", "pipeline_type", "pooling", "reasoning_parser", "resolution",
    "tool_parser", "truncate", "vocoder",
)  # fmt: skip
REFUSED: Mapping[str, str] = {
    **dict.fromkeys(_GENERATIVE_FLAGS, _GENERATIVE),
    **dict.fromkeys(
        ("list_models", "add_to_config", "remove_from_config", "model_repository_path", "group_name"), _CONFIGURATIONS
    ),
    "trace_path": "only builds of OVMS for tracing take it",
}
"""Flags that end the server, by name, with the reason."""

IGNORED: Mapping[str, str] = {
    "verbose_response": _GENERATIVE,
    "allowed_media_domains": _GENERATIVE,
    "allowed_local_media_path": _GENERATIVE,
    "api_key_file": "it guards the endpoints of generative models, which the graph server does not have",
    "custom_node_resources_cleaner_interval_seconds": "custom nodes are OVMS's alone",
    "grpc_workers": "one gRPC server does the work of all here",
}
"""Flags that are accepted without effect."""


def refusal(arguments: Sequence[str]) -> str | None:
    """The reason for the first refused flag among ``arguments``, if there is one."""
    for argument in arguments:
        name = argument.partition("=")[0].removeprefix("--")
        if argument.startswith("--") and name in REFUSED:
            return f"--{name} is a flag of OVMS that the graph server does not take: {REFUSED[name]}"
    return None
