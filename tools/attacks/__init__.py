"""What hostile clients and servers do, each in one small function, and what it may cost at most."""
