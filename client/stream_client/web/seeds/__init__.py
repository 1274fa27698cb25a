"""Interfaces that other programs have: StreamPoseML's, and a websocket for JPEG frames."""
