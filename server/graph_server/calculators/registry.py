"""The registry of the calculators in this package."""

from graph_server.graph.calculator import Registry

REGISTRY = Registry()
