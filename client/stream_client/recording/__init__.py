"""Recording for weeks: files cut at the clock, a quota, and an index to search."""
