"""Sound in RTP, from ffmpeg."""

import subprocess
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from stream_client.rtsp.listener import Place, RtpListener
from stream_client.rtsp.sound import EncodedSound, SoundDepacketizer, sound_track
from tests.support.ports import free_port

SECONDS = 2


@pytest.mark.parametrize(
    ("encoder", "codec", "rate", "channels"),
    [
        (["-c:a", "aac", "-ac", "1"], "aac", 48_000, 1),
        (["-c:a", "libopus", "-ac", "2"], "opus", 48_000, 2),
        (["-c:a", "pcm_mulaw", "-ar", "8000", "-ac", "1"], "pcm_mulaw", 8000, 1),
        (["-c:a", "pcm_alaw", "-ar", "8000", "-ac", "1"], "pcm_alaw", 8000, 1),
    ],
)
def test_sound_comes_out_of_rtp_in_its_time(
    tmp_path: Path, encoder: list[str], codec: str, rate: int, channels: int
) -> None:
    port, sdp = free_port(), tmp_path / "sound.sdp"
    listener = RtpListener(Place("127.0.0.1", port), timeout=20)
    listener.open()
    hum = ["-f", "lavfi", "-i", f"sine=f=440:r=48000:d={SECONDS}", "-flags:a", "+global_header"]
    command = ["ffmpeg", "-v", "error", "-re", *hum, *encoder, "-f", "rtp", "-sdp_file", str(sdp)]
    sender = subprocess.Popen([*command, f"rtp://127.0.0.1:{port}"], stdout=subprocess.DEVNULL)
    packets = listener.datagrams()
    first = next(packets)
    track = sound_track(sdp.read_text(), "rtsp://host")
    assert track is not None
    assert (track.codec, track.rate, track.channels) == (codec, rate, channels)
    depacketizer = SoundDepacketizer(track)
    pieces: list[EncodedSound] = depacketizer.take(first.data)
    while pieces[-1].time < (SECONDS - 0.3) * rate:
        datagram = next(packets)
        if not datagram.report:
            pieces += depacketizer.take(datagram.data)
    sender.kill()
    sender.wait()
    listener.close()
    assert decoded_seconds(track.codec, track.rate, track.channels, track.parameters, pieces) == pytest.approx(
        (pieces[-1].time - pieces[0].time) / rate, abs=0.15
    )


def decoded_seconds(codec: str, rate: int, channels: int, parameters: bytes, pieces: list[EncodedSound]) -> float:
    """How long they sound. They must not be silent."""
    decoder = av.CodecContext.create(codec, "r")
    assert isinstance(decoder, av.AudioCodecContext)
    decoder.extradata = parameters or None
    decoder.sample_rate, decoder.layout = rate, "mono" if channels == 1 else "stereo"
    seconds, loudest = 0.0, 0.0
    for piece in pieces:
        packet = av.Packet(piece.data)
        packet.pts, packet.time_base = piece.time, Fraction(1, rate)
        for frame in decoder.decode(packet):
            seconds += frame.samples / frame.sample_rate
            loudest = max(loudest, float(np.abs(frame.to_ndarray().astype(float)).max()))
    assert loudest > 0.01
    return seconds


def test_what_we_do_not_read_is_no_track() -> None:
    assert sound_track("v=0\nm=audio 0 RTP/AVP 14\na=rtpmap:14 MPA/90000\n", "rtsp://host") is None
    assert sound_track("v=0\nm=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\n", "rtsp://host") is None
    found = sound_track("v=0\nm=audio 0 RTP/AVP 0\na=control:trackID=1\n", "rtsp://host/x/")
    assert found is not None
    assert (found.codec, found.rate, found.control) == ("pcm_mulaw", 8000, "rtsp://host/x/trackID=1")
