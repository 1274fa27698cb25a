"""What a user names as data: found, downloaded, unpacked."""

from stream_client.training.material.annotated import labeled_by
from stream_client.training.material.search import search
from stream_client.training.material.values import Material, SearchOptions

__all__ = ["Material", "SearchOptions", "labeled_by", "search"]
