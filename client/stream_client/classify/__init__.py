"""Windows, features and trained models over landmarks."""
