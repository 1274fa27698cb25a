"""Models on the OpenVINO runtime."""
