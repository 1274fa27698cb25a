"""nginx with its RTMP module, in a process of its own that can be killed and started again."""

import subprocess
import time
from pathlib import Path

from tests.support.missing import missing
from tests.support.server_process import ServerProcess

_MODULE = Path("/usr/lib/nginx/modules/ngx_rtmp_module.so")
_PACKAGES = "nginx-light libnginx-mod-rtmp"
_CONFIGURATION = """
load_module {module};
daemon off;
master_process off;
worker_processes 1;
pid {folder}/pid;
error_log stderr error;
events {{ worker_connections 64; }}
rtmp {{
    server {{
        listen 127.0.0.1:{port};
        application live {{ live on; }}
        application closed {{ live on; deny publish all; }}
    }}
}}
"""


class RtmpServer(ServerProcess):
    """Takes and plays streams at ``live/KEY``; nobody may publish at ``closed/KEY``."""

    def __init__(self, folder: Path) -> None:
        if not _MODULE.exists():
            missing("nginx with RTMP", f"apt-get install {_PACKAGES}")
        configuration = folder / "nginx.conf"
        super().__init__(["nginx", "-c", str(configuration)], _PACKAGES)
        configuration.write_text(_CONFIGURATION.format(module=_MODULE, folder=folder, port=self.port))

    def url(self, path: str) -> str:
        """The address of ``path``."""
        return f"rtmp://127.0.0.1:{self.port}/{path}"

    def watch(self, path: str, frames: int, size: tuple[int, int]) -> list[bytes]:
        """The frames that a viewer sees, RGB; it tries until there is a stream."""
        return watch(self.url(path), frames, size)


def watch(source: str, frames: int, size: tuple[int, int], *flags: str) -> list[bytes]:
    """The frames that ffmpeg reads of ``source``, RGB; it tries until there is a stream."""
    command = ["ffmpeg", "-v", "error", *flags, "-i", source, "-frames:v", str(frames), "-fps_mode", "passthrough"]
    command += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    length = 3 * size[0] * size[1]
    for _ in range(40):
        done = subprocess.run(command, capture_output=True, timeout=40, check=False)
        if len(done.stdout) >= frames * length:
            return [done.stdout[start : start + length] for start in range(0, frames * length, length)]
        time.sleep(0.2)
    raise AssertionError(done.stderr.decode())
