"""The code blocks of StreamPoseML's "Client Interfaces", with their imports changed to one line of ours."""

import json
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pandas
import pytest
from sklearn.ensemble import RandomForestClassifier

from stream_client.classify.joints import BODY
from stream_client.compat.streamposeml import SequenceTransformer
from tests.support.environments import interpreter_of
from tests.support.mlflow_server import MLflowServer, save_model

pytestmark = pytest.mark.timeout(240)

COLUMNS = ["angle_left_elbow", "angle_right_knee", "mean:plumb_distance2d:left_wrist"]

BASIC = """
from stream_client.compat.streamposeml import MediaPipeClient, SequenceTransformer, StreamPoseClient, TrainedModel
import pickle

# 1. Load your trained model
model = TrainedModel()
with open('model.pkl', 'rb') as f:
    trained_classifier = pickle.load(f)
    model_data = pickle.load(f)

model.set_model(model=trained_classifier, model_data=model_data)

# 2. Initialize components
mpc = MediaPipeClient()  # MediaPipe client for pose detection
transformer = SequenceTransformer()  # Transforms pose data to features

# 3. Create StreamPoseClient
client = StreamPoseClient(
    frame_window=30,  # Number of frames to consider together (like 1 second of video)
    mediapipe_client_instance=mpc,
    trained_model=model,
    data_transformer=transformer
)
"""
ONE_IMAGE = """
# 4. Process video frames
import cv2

# Option A: Process a single image
image = cv2.imread('image.jpg')
client.run_frame_pipeline(image)

# 5. Get the classification result
result = client.current_classification
print(f"Classification result: {result}")
"""
ANALYSIS = """
import cv2

def analyze_video(video_path, output_path=None):
    cap = cv2.VideoCapture(video_path)

    # Set up video writer if saving output
    if output_path:
        width = int(cap.get(cv2.CAP_PROP_FRAME_WIDTH))
        height = int(cap.get(cv2.CAP_PROP_FRAME_HEIGHT))
        fps = cap.get(cv2.CAP_PROP_FPS)
        fourcc = cv2.VideoWriter_fourcc(*'mp4v')
        out = cv2.VideoWriter(output_path, fourcc, fps, (width, height))

    # Classification statistics
    frames = 0
    positive_frames = 0

    while cap.isOpened():
        ret, frame = cap.read()
        if not ret:
            break

        # Process the frame
        client.run_frame_pipeline(frame)
        frames += 1

        # Visualize classification when available
        if client.current_classification is not None:
            if client.current_classification:
                label = "Correct Movement"
                color = (0, 255, 0)  # Green
                positive_frames += 1
            else:
                label = "Incorrect Movement"
                color = (0, 0, 255)  # Red

            # Display on frame
            cv2.putText(frame, label, (50, 50),
                       cv2.FONT_HERSHEY_SIMPLEX, 1, color, 2)

        # Write frame if saving output
        if output_path:
            out.write(frame)

    # Clean up
    cap.release()
    if output_path:
        out.release()

    return {
        "total_frames": frames,
        "positive_frames": positive_frames,
        "positive_percentage": (positive_frames / frames * 100) if frames > 0 else 0
    }

# Example usage
results = analyze_video("video.mp4", "analyzed_video.mp4")
print(f"Analysis complete: {results['positive_percentage']:.2f}% correct movements of {results['total_frames']}")
"""
CONTAINER = """
from stream_client.compat.streamposeml import SequenceTransformer, TrainedModel
import pickle
import joblib

# Create a TrainedModel instance
model = TrainedModel()

# Load a model from pickle file
with open('model.pkl', 'rb') as f:
    trained_classifier = pickle.load(f)  # The actual model (e.g., RandomForest, XGBoost)
    model_data = pickle.load(f)  # Additional data like test features

# Set the model and associated data
model.set_model(
    model=trained_classifier,  # Your trained sklearn/xgboost/etc. model
    model_data={               # Additional data needed for predictions
        "X_test": model_data["X_test"],  # Feature columns from test data
        "feature_names": model_data.get("feature_names", []),
    },
    notes="Dance movement classifier trained on 500 examples" # Optional documentation
)

# Optional: Connect a data transformer for preprocessing
transformer = SequenceTransformer()
model.set_data_transformer(transformer)

# Make predictions directly
import numpy as np
test_features = np.array([[0.5, 0.3, 0.2]])  # Your feature vector
predictions = model.predict(data=test_features)

print(f"Prediction: {predictions[0]}")
"""
MLFLOW = """
import requests
from stream_client.compat.streamposeml import MediaPipeClient, MLFlowClient, SequenceTransformer

# 1. Initialize dependencies
mpc = MediaPipeClient(dummy_client=True)  # dummy_client=True if not processing raw frames
transformer = SequenceTransformer()  # Or specialized MLFlowTransformer if needed

# 2. Define a prediction function that interfaces with MLflow
def mlflow_predict(json_data_payload):
    # Send request to MLflow serving endpoint
    response = requests.post(
        "http://mlflow:5002/invocations",  # Your MLflow server endpoint
        json={"inputs": json_data_payload},
        headers={"Content-Type": "application/json"}
    )
    return response.json()

# 3. Create client with frame overlap for smoother predictions
client = MLFlowClient(
    mediapipe_client_instance=mpc,
    data_transformer=transformer,
    predict_fn=mlflow_predict,  # Your custom prediction function
    input_example={"columns": ["angle_left_elbow", "angle_right_knee"]},  # Match your model's expected input
    frame_window=30,  # Total frames to consider
    frame_overlap=5   # Process new predictions every (frame_window - frame_overlap) frames
)

# 4. Process keypoints (typically from a web client)
import json
for keypoints_data in json.load(open("keypoints.json")):
    client.run_keypoint_pipeline(keypoints_data)

# 5. Get classification result
result = client.current_classification
processing_time = client.prediction_processing_time  # Performance monitoring

print(f"Classification: {result}, Processing time: {processing_time}ms")
"""
SAVE = """
import sys
import mlflow
import numpy as np
import pandas


class Bent(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        row = pandas.DataFrame({name: np.atleast_1d(value) for name, value in dict(model_input).items()})
        assert list(row.columns) == ["angle_left_elbow", "angle_right_knee"], row.columns
        return np.stack([row.angle_left_elbow >= 4, row.angle_left_elbow < 4], axis=1).astype(float)


mlflow.pyfunc.save_model(sys.argv[1], python_model=Bent())
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model of two objects in one pickle, as the programs expect it."""
    known = SequenceTransformer().columns(frames=30)
    assert set(COLUMNS) <= set(known)
    rows = pandas.DataFrame(np.random.default_rng(1).uniform(0, 3, (60, 3)), columns=COLUMNS)
    model = RandomForestClassifier(10, random_state=1).fit(rows, rows["angle_left_elbow"] < 2)
    with (tmp_path / "model.pkl").open("wb") as file:
        pickle.dump(model, file)
        pickle.dump({"X_test": rows[:5]}, file)
    return tmp_path


def run(program: str, folder: Path) -> str:
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}  # the model was fitted with names of columns
    finished = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def test_basic_usage_with_an_image(folder: Path, person: Path) -> None:
    capture = cv2.VideoCapture(str(person))
    cv2.imwrite(str(folder / "image.jpg"), capture.read()[1])
    capture.release()
    assert "Classification result: None" in run(BASIC + ONE_IMAGE, folder)


def test_the_video_analysis_application(folder: Path, person: Path) -> None:
    os.symlink(person, folder / "video.mp4")
    output = run(BASIC + ANALYSIS + "print(client.current_classification)", folder)
    assert output.strip().endswith(("True", "False"))
    assert "% correct movements of 40" in output
    capture = cv2.VideoCapture(str(folder / "analyzed_video.mp4"))
    assert int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) == 40
    capture.release()


def test_the_trained_model_as_a_container(folder: Path) -> None:
    assert run(CONTAINER, folder).strip() in ("Prediction: True", "Prediction: False")


@pytest.mark.environment
def test_the_mlflow_client_with_a_real_scoring_server(tmp_path: Path) -> None:
    python = interpreter_of("mlflow")
    points = [
        dict(zip("xyz", point, strict=True)) for point in np.random.default_rng(2).uniform(0, 1, (33, 3)).tolist()
    ]
    named = {"joint_positions": dict(zip(BODY, points, strict=True))}
    (tmp_path / "keypoints.json").write_text(json.dumps([{"landmarks": [points]}] * 20 + [named] * 10))
    server = MLflowServer(python, save_model(python, SAVE, tmp_path), tmp_path / "log")
    try:
        output = run(MLFLOW.replace("http://mlflow:5002", server.url), tmp_path)
    finally:
        server.kill()
    assert re.fullmatch(r"Classification: True, Processing time: \d+\.\d+ms\n", output)
