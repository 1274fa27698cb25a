"""Publishing and playing by RTSP 1.0 (RFC 2326), on our own sockets, which can be shut down at any moment.

:mod:`.client` is the protocol without I/O, :mod:`.connection` its socket; :mod:`.player` plays over TCP and UDP.

PyAV holds Python's interpreter lock while FFmpeg's RTSP muxer connects and disconnects, and cannot be interrupted: a
silent server would freeze the whole process. FFmpeg's demuxer gives a frame only when the next one begins.
docs/decisions/rtsp-publisher.md and rtsp-player.md have the measurements.
"""
