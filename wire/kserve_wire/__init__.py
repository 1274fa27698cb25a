"""What client and server must agree on, once: KServe v2 on the wire, and the parts that both run the same way.

Knows neither client nor server. Each module imports only what it needs of protobuf and NumPy.
"""
