"""Looking at a run afterwards: what was labeled for how long, and landmarks over the video."""
