"""A local stand-in for OpenVINO Model Server: same files, same models, same behaviour on the wire."""

__version__ = "0.1.0"
