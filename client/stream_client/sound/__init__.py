"""The sound of a source on its way to the outputs: from its track, unchanged or encoded, to packets."""
