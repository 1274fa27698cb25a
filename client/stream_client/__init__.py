"""Real-time video analysis against OpenVINO Model Server."""
