"""Holistic inference: pose, hands and face, as MediaPipe's legacy Holistic graph computes them.

Pure numerics over NumPy arrays and a thin layer over OpenVINO. Constants are those of MediaPipe 0.10
(openvinotoolkit/mediapipe, folder mediapipe/modules); each module names its files.

Landmarks are float32 [n, 5]: x and y relative to the image's width and height, z on the scale of x, and
visibility and presence in 0…1 where the part has them.
"""
