"""The registry that graphs are read with."""

from graph_server.graph.calculator import Registry

REGISTRY = Registry()
