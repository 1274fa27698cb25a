"""Windows, features and trained models over landmarks."""

from stream_client.classify.by_track import TrackClassifiers
from stream_client.classify.decision import (
    UNKNOWN,
    Decision,
    DecisionOptions,
    LabelChange,
    LabelState,
    RepetitionCounter,
)
from stream_client.classify.features import FeatureSchema
from stream_client.classify.mlflow_classifier import MLflowClassifier
from stream_client.classify.models import TrainedModel
from stream_client.classify.pose_classifier import PoseClassifier
from stream_client.classify.windows import WindowBuffer, WindowSpec

__all__ = [
    "UNKNOWN",
    "Decision",
    "DecisionOptions",
    "FeatureSchema",
    "LabelChange",
    "LabelState",
    "MLflowClassifier",
    "PoseClassifier",
    "RepetitionCounter",
    "TrackClassifiers",
    "TrainedModel",
    "WindowBuffer",
    "WindowSpec",
]
