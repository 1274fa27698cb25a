"""Archives: many videos, each of them once."""
