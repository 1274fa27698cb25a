"""Where results go: screen, files, streams, labels."""
