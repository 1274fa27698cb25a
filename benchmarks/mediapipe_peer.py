"""MediaPipe 0.10.21 as a peer, in a virtual environment of its own, and the programs that run in it.

Imported by benchmarks; run by the other environment's Python:

    python mediapipe_peer.py speed FRAMES.npy    # a run for each line on standard input; prints seconds, wall and CPU
    python mediapipe_peer.py draw IN.mp4 OUT.mp4 # reads with OpenCV, finds, draws, writes
    python mediapipe_peer.py noise IN.mp4 OUT.npz FRAMES SEED RATE # finds, a share of the bytes changed
"""

import subprocess
import sys
import time
import venv
from collections.abc import Callable
from pathlib import Path

VERSION = "0.10.21"
_FOLDER = Path(__file__).resolve().parents[1] / ".venvs" / "mediapipe"


def python() -> Path:
    """The Python of MediaPipe's environment, which is made at first use."""
    executable = _FOLDER / "bin" / "python"
    marker = _FOLDER / f"mediapipe-{VERSION}"
    if not marker.exists():
        if not (3, 9) <= sys.version_info[:2] <= (3, 12):
            sys.exit(f"MediaPipe {VERSION} needs Python 3.9 to 3.12: run this benchmark with one of them")
        print(f"making {_FOLDER} with MediaPipe {VERSION}", file=sys.stderr)
        venv.create(_FOLDER, with_pip=True, clear=True)
        command = [str(executable), "-m", "pip", "install", "--quiet", f"mediapipe=={VERSION}"]
        if subprocess.run(command, check=False).returncode != 0:
            sys.exit(f"MediaPipe {VERSION} could not be installed")
        marker.touch()
    return executable


def run_speed(frames_file: str) -> None:
    import mediapipe
    import numpy as np

    frames = np.load(frames_file, mmap_mode="r")
    images = [np.array(frame) for frame in frames]
    with mediapipe.solutions.holistic.Holistic() as holistic:
        for image in images[:5]:
            holistic.process(image)
        print("ready", flush=True)
        for _ in sys.stdin:
            begun, used = time.perf_counter(), time.process_time()
            for image in images:
                holistic.process(image)
            print(time.perf_counter() - begun, time.process_time() - used, flush=True)


def run_draw(source: str, target: str) -> None:
    import cv2
    import mediapipe

    draw, holistic_module = mediapipe.solutions.drawing_utils, mediapipe.solutions.holistic
    capture = cv2.VideoCapture(source)
    size = (int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)))
    writer = cv2.VideoWriter(target, cv2.VideoWriter.fourcc(*"mp4v"), capture.get(cv2.CAP_PROP_FPS), size)
    parts = {
        "face_landmarks": holistic_module.FACEMESH_TESSELATION,
        "pose_landmarks": holistic_module.POSE_CONNECTIONS,
        "left_hand_landmarks": holistic_module.HAND_CONNECTIONS,
        "right_hand_landmarks": holistic_module.HAND_CONNECTIONS,
    }
    with holistic_module.Holistic() as holistic:
        while True:
            read, image = capture.read()
            if not read:
                break
            results = holistic.process(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
            for part, connections in parts.items():
                landmarks = getattr(results, part)
                if landmarks:
                    draw.draw_landmarks(image, landmarks, connections)
            writer.write(image)
    writer.release()


def run_noise(source: str, target: str, frames: str, seed: str, rate: str) -> None:
    """Landmarks [frames, points, 3] by part, NaN where none are; a share ``rate`` of the bytes is changed by one."""
    import cv2
    import mediapipe
    import numpy as np

    counts = {"pose": 33, "face": 468, "left_hand": 21, "right_hand": 21}
    rng = np.random.default_rng(int(seed))
    capture = cv2.VideoCapture(source)
    found: dict[str, list[np.ndarray]] = {part: [] for part in counts}
    with mediapipe.solutions.holistic.Holistic() as holistic:
        for _ in range(int(frames)):
            image = cv2.cvtColor(capture.read()[1], cv2.COLOR_BGR2RGB)
            values = image.reshape(-1)
            changed = rng.integers(0, values.size, int(values.size * float(rate)))
            values[changed] = np.where(values[changed] < 255, values[changed] + 1, 254)
            results = holistic.process(image)
            for part, count in counts.items():
                landmarks = getattr(results, f"{part}_landmarks")
                points = [(point.x, point.y, point.z) for point in landmarks.landmark] if landmarks else np.nan
                found[part].append(np.broadcast_to(np.array(points, np.float32), (count, 3)))
    np.savez(target, **{part: np.stack(arrays) for part, arrays in found.items()})  # type: ignore[arg-type]


if __name__ == "__main__":
    runs: dict[str, Callable[..., None]] = {"speed": run_speed, "draw": run_draw, "noise": run_noise}
    runs[sys.argv[1]](*sys.argv[2:])
