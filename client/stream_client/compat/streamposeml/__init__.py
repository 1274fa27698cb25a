"""StreamPoseML's clients over this project: its scripts run with this import in place of theirs.

>>> from stream_client.compat.streamposeml import SequenceTransformer, StreamPoseClient, TrainedModel
"""

from stream_client.compat.streamposeml.clients import MLFlowClient, StreamPoseClient
from stream_client.compat.streamposeml.mediapipe_client import MediaPipeClient
from stream_client.compat.streamposeml.trained_model import TrainedModel
from stream_client.compat.streamposeml.transformer import SequenceTransformer

__all__ = ["MLFlowClient", "MediaPipeClient", "SequenceTransformer", "StreamPoseClient", "TrainedModel"]
