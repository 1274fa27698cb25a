"""The part of TensorFlow Serving's API that OVMS had until 2026.2, for models: what ovmsclient speaks."""
