"""A student of 3D poses that learns from streams: a teacher stands in for a data set. Needs the extra ``distill``."""
