"""Events: what happens in a stream, by rules on labels, tracks and places, and where it is sent."""
