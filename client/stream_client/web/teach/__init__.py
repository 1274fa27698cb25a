"""Classes that are taught by showing them."""
