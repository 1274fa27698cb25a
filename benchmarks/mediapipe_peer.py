"""MediaPipe 0.10.21 as a peer, in a virtual environment of its own, and the programs that run in it.

Imported by benchmarks; run by the other environment's Python:

    python mediapipe_peer.py speed FRAMES.npy    # a run for each line on standard input; prints seconds, wall and CPU
    python mediapipe_peer.py draw IN.mp4 OUT.mp4 [FRAMES] # reads with OpenCV, finds, draws, writes
    python mediapipe_peer.py noise IN.mp4 OUT.npz FRAMES SEED RATE # finds, a share of the bytes changed
    python mediapipe_peer.py iris IN.mkv OUT.npz FRAMES # face, eyes and irises (tests/data/iris_tracking.npz)
"""

import subprocess
import sys
import time
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

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


def run_draw(source: str, target: str, frames: str = "") -> None:
    import itertools

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
        for _ in range(int(frames)) if frames else itertools.count():
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


_EYES = """
input_stream: "crop"
input_stream: "mirrored"
input_stream: "region"
output_stream: "contour"
output_stream: "iris"
node {
  calculator: "ImageTransformationCalculator" input_stream: "IMAGE:crop" input_stream: "FLIP_HORIZONTALLY:mirrored"
  output_stream: "IMAGE:eye"
  node_options { [type.googleapis.com/mediapipe.ImageTransformationCalculatorOptions] {
    output_width: 64 output_height: 64 scale_mode: FIT
  } }
}
node {
  calculator: "ImageToTensorCalculator" input_stream: "IMAGE:eye" output_stream: "TENSORS:pixels"
  node_options { [type.googleapis.com/mediapipe.ImageToTensorCalculatorOptions] {
    output_tensor_width: 64 output_tensor_height: 64 output_tensor_float_range { min: 0.0 max: 1.0 }
  } }
}
node {
  calculator: "InferenceCalculator" input_stream: "TENSORS:pixels" output_stream: "TENSORS:tensors"
  node_options { [type.googleapis.com/mediapipe.InferenceCalculatorOptions] {
    model_path: "mediapipe/modules/iris_landmark/iris_landmark.tflite" delegate { xnnpack {} }
  } }
}
node {
  calculator: "SplitTensorVectorCalculator" input_stream: "tensors"
  output_stream: "contour_tensor" output_stream: "iris_tensor"
  node_options { [type.googleapis.com/mediapipe.SplitVectorCalculatorOptions] {
    ranges { begin: 0 end: 1 } ranges { begin: 1 end: 2 }
  } }
}
"""


def _eye_graph() -> str:
    """The network of irises in MediaPipe's newer calculators: the wheel lacks the demo's older ones."""
    text = _EYES
    for name, count in (("contour", 71), ("iris", 5)):
        text += f"""
        node {{
          calculator: "TensorsToLandmarksCalculator" input_stream: "TENSORS:{name}_tensor"
          input_stream: "FLIP_HORIZONTALLY:mirrored" output_stream: "NORM_LANDMARKS:{name}_in_crop"
          node_options {{ [type.googleapis.com/mediapipe.TensorsToLandmarksCalculatorOptions] {{
            num_landmarks: {count} input_image_width: 64 input_image_height: 64
          }} }}
        }}
        node {{
          calculator: "LandmarkProjectionCalculator" input_stream: "NORM_LANDMARKS:{name}_in_crop"
          input_stream: "NORM_RECT:region" output_stream: "NORM_LANDMARKS:{name}"
        }}"""
    return text


def _eye_crop(image: Any, center: Any, side: float, degrees: float) -> Any:
    """What the wheel lacks: the OpenCV calls of MediaPipe's ImageCroppingCalculator (image_cropping_calculator.cc)."""
    import cv2
    import numpy as np

    length = int(side + 0.5)
    corners = cv2.boxPoints((center.tolist(), (length, length), degrees))
    target = np.array([[0, length], [0, 0], [length, 0], [length, length]], np.float32)
    to_corner, back = np.eye(3), np.eye(3)
    to_corner[:2, 2], back[:2, 2] = 0.5, -0.5
    matrix = back @ cv2.getPerspectiveTransform(corners, target) @ to_corner
    return cv2.warpPerspective(
        image, matrix, (length, length), flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE
    )


def run_iris(source: str, target: str, count: str) -> None:
    """Face [n, 468, 2], eyes [n, 2, 71, 2] and irises [n, 2, 5, 2] of the first frames, 0…1. All have a face."""
    import cv2
    import mediapipe
    import numpy as np
    from mediapipe.framework.formats import rect_pb2

    create = mediapipe.packet_creator
    capture = cv2.VideoCapture(source)
    graph = mediapipe.CalculatorGraph(graph_config=_eye_graph())
    found: dict[str, list[Any]] = {"face": [], "contour": [], "iris": []}

    def keep(name: str, packet: Any) -> None:
        points = mediapipe.packet_getter.get_proto(packet).landmark
        found[name].append([(point.x, point.y) for point in points])

    for name in ("contour", "iris"):
        graph.observe_output_stream(name, keep)
    with mediapipe.solutions.face_mesh.FaceMesh(max_num_faces=1, refine_landmarks=False) as mesh:
        graph.start_run()  # it finds the model's file once a solution was made
        for frame in range(int(count)):
            image = cv2.cvtColor(capture.read()[1], cv2.COLOR_BGR2RGB)
            size = np.array([image.shape[1], image.shape[0]])
            (face,) = mesh.process(image).multi_face_landmarks
            points = np.array([(point.x, point.y) for point in face.landmark])
            found["face"].append(points)
            for mirrored, corners in ((False, points[[33, 133]]), (True, points[[362, 263]])):
                start, end = corners * size
                side = 2.3 * float(np.abs(end - start).max())
                angle = float(np.arctan2(end[1] - start[1], end[0] - start[0]))
                x, y = ((start + end) / 2 / size).tolist()
                width, height = (side / size).tolist()
                crop = np.ascontiguousarray(_eye_crop(image, (start + end) / 2, side, np.degrees(angle)))
                packets = {
                    "crop": create.create_image_frame(data=crop, image_format=mediapipe.ImageFormat.SRGB),
                    "mirrored": create.create_bool(mirrored),
                    "region": create.create_proto(
                        rect_pb2.NormalizedRect(x_center=x, y_center=y, width=width, height=height, rotation=angle)
                    ),
                }
                for name, packet in packets.items():
                    graph.add_packet_to_input_stream(name, packet.at(2 * frame + mirrored))
                graph.wait_until_idle()
    graph.close()
    arrays = {name: np.array(values, np.float32) for name, values in found.items()}
    eyes, irises = arrays["contour"].reshape(-1, 2, 71, 2), arrays["iris"].reshape(-1, 2, 5, 2)
    np.savez_compressed(target, face=arrays["face"], eyes=eyes, irises=irises)


if __name__ == "__main__":
    runs: dict[str, Callable[..., None]] = {
        "speed": run_speed, "draw": run_draw, "noise": run_noise, "iris": run_iris
    }  # fmt: skip
    runs[sys.argv[1]](*sys.argv[2:])
