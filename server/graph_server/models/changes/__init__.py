"""What is changed in a network before it is compiled, so that it computes less."""
