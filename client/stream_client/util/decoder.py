"""Who decodes a video: the processor, or hardware by its name in FFmpeg."""

from typing import Literal

Decoder = Literal["software", "auto", "vaapi", "cuda", "videotoolbox"]
"""What decodes video: the processor, or hardware by its interface; ``auto``: hardware where there is some."""
