"""What people bring: folders, files, globs, URLs, archives; and the landmarks in it."""

from stream_client.training.material.search import Material, SearchOptions, search

__all__ = ["Material", "SearchOptions", "search"]
