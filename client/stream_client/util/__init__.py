"""Small tools without knowledge of streams."""
