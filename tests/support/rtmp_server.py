"""nginx with its RTMP module, in a process of its own that can be killed and started again."""

import shutil
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType

from tests.support.missing import missing
from tests.support.ports import free_port
from tests.support.waiting import wait_until

_MODULE = Path("/usr/lib/nginx/modules/ngx_rtmp_module.so")
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


class RtmpServer:
    """Takes and plays streams at ``live/KEY``; nobody may publish at ``closed/KEY``."""

    def __init__(self, folder: Path) -> None:
        if shutil.which("nginx") is None or not _MODULE.exists():
            missing("nginx with RTMP", "apt-get install nginx-light libnginx-mod-rtmp")
        self.port = free_port()
        self._configuration = folder / "nginx.conf"
        self._configuration.write_text(_CONFIGURATION.format(module=_MODULE, folder=folder, port=self.port))
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, path: str) -> str:
        """The address of ``path``."""
        return f"rtmp://127.0.0.1:{self.port}/{path}"

    def start(self) -> None:
        """Serve, at the same port as before."""
        self._process = subprocess.Popen(
            ["nginx", "-c", str(self._configuration)], stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
        )
        wait_until(self._listens)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        """Cut every connection, as a power failure does."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def watch(self, path: str, frames: int, size: tuple[int, int]) -> list[bytes]:
        """The frames that a viewer sees, RGB; it tries until there is a stream."""
        return watch(self.url(path), frames, size)

    def __enter__(self) -> "RtmpServer":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


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
