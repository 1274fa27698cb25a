"""The peer of web_latency.py: streamlit-webrtc, which gives each frame of the camera back.

python() makes an environment for it once. `streamlit run streamlit_peer.py` serves the page.
"""

import subprocess
import sys
import venv
from pathlib import Path

PACKAGES = ("streamlit==1.67.0", "streamlit-webrtc==0.79.0", "aiortc==1.16.0")
_FOLDER = Path(__file__).resolve().parents[1] / ".venvs" / "streamlit"


def python() -> Path:
    """The Python of the peer's environment, which is made at first use."""
    executable, marker = _FOLDER / "bin" / "python", _FOLDER / "installed"
    if not marker.exists():
        print(f"making {_FOLDER} with {', '.join(PACKAGES)}", file=sys.stderr)
        venv.create(_FOLDER, with_pip=True, clear=True)
        if subprocess.run([executable, "-m", "pip", "install", "--quiet", *PACKAGES], check=False).returncode != 0:
            sys.exit("streamlit-webrtc could not be installed")
        marker.touch()
    return executable


def main() -> None:
    """The page, as Streamlit runs it."""
    import aioice.ice
    import av
    from streamlit_webrtc import webrtc_streamer

    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]  # nothing leaves the machine

    def back(frame: av.VideoFrame) -> av.VideoFrame:
        return av.VideoFrame.from_ndarray(frame.to_ndarray(format="rgb24"), format="rgb24")

    webrtc_streamer(
        key="camera",
        video_frame_callback=back,
        rtc_configuration={"iceServers": []},
        media_stream_constraints={"video": True, "audio": False},
        desired_playing_state=True,
    )


if __name__ == "__main__":
    main()
