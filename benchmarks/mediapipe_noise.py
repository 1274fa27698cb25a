"""Writes mediapipe_noise.csv: how far MediaPipe is from itself when its frames are changed by what nobody can see.

    python benchmarks/mediapipe_noise.py     # 20 minutes on two cores

MediaPipe 0.10.21 finds landmarks in the shared clips 16 times, each time with another byte in ten thousand of each
frame changed by one gray level, and they are compared with its golden landmarks (holistic_stability.py): in all frames
of a clip, and in its first.
"""

from dataclasses import astuple

from holistic_stability import apart, changed, opened
from mediapipe_peer import VERSION
from parity import CLIPS, COLUMNS, NOISE, SHORT

from stream_client.benchmark.environment import cpu_model

SEEDS, RATE = range(1, 17), 0.0001


def main() -> None:
    """Run MediaPipe, write the file."""
    lines = [f"# python benchmarks/mediapipe_noise.py: MediaPipe {VERSION}, {cpu_model()}", ",".join(COLUMNS)]
    for name in CLIPS:
        clip = opened(name, None)
        for seed in SEEDS:
            landmarks = changed(clip, seed, RATE)
            for count in (SHORT, clip.count):
                for part, row in apart(clip, landmarks[:count]).items():
                    lines.append(",".join([name, part, *(f"{value:.5g}" for value in astuple(row))]))
            print(f"{name}: seed {seed}")
    NOISE.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
