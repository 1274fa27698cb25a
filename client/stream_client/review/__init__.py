"""Looking at a run afterwards: what was labelled for how long, and landmarks over the video."""
