"""The parts that client and server share: KServe v2 on the wire, and code that both must run in the same way.

The package knows neither client nor server. Each module imports only what it needs from protobuf and NumPy.
"""
