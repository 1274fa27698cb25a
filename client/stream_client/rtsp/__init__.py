"""Publishing and playing by RTSP 1.0 (RFC 2326) over TCP, on sockets of our own that can be shut down at any moment.

FFmpeg's RTSP muxer, as PyAV calls it, connects and says good-bye with Python's interpreter locked and cannot be
interrupted: a silent server would freeze the whole process. Its demuxer gives a picture only when the next one
begins. docs/decisions/rtsp-publisher.md and rtsp-player.md have the measurements.
"""
