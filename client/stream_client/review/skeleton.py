"""Which points are joined by a bone."""

BONES = [
    (11, 12), (11, 23), (12, 24), (23, 24),
    (11, 13), (13, 15), (15, 17), (15, 19), (15, 21), (17, 19),
    (12, 14), (14, 16), (16, 18), (16, 20), (16, 22), (18, 20),
    (23, 25), (25, 27), (27, 29), (27, 31), (29, 31),
    (24, 26), (26, 28), (28, 30), (28, 32), (30, 32),
    (0, 1), (1, 2), (2, 3), (3, 7), (0, 4), (4, 5), (5, 6), (6, 8), (9, 10),
]  # fmt: skip
"""Of the body, MediaPipe's (mediapipe/python/solutions/pose_connections.py)."""
HAND_BONES = [(0, 1), (0, 5), (9, 13), (13, 17), (5, 9), (0, 17)] + [
    (joint, joint + 1) for finger in (1, 5, 9, 13, 17) for joint in range(finger, finger + 3)
]
"""Of a hand (hands_connections.py)."""
