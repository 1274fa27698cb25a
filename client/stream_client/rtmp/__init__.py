"""Publishing and playing by RTMP (Adobe's Real-Time Messaging Protocol 1.0), without I/O."""
