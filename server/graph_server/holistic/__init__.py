"""Holistic inference: pose, hands and face, computed like MediaPipe's legacy Holistic graph.

Pure functions over NumPy arrays, and a thin layer over OpenVINO. Constants are those of MediaPipe 0.10
(openvinotoolkit/mediapipe, folder mediapipe/modules). Each module names its source files.

Landmarks are float32 [n, 5]: x and y relative to the image's width and height, z in the same scale as x, then
visibility and presence in 0…1. Parts without visibility and presence have zeros there.
"""
