"""Latency of the browser's camera, from painting a frame to the same frame drawn again, by way of the application.

    python benchmarks/web_latency.py [--size 640x480] [--seconds 15] [--json FILE]

The camera is a canvas that paints the time as a code, 30 times a second. Each way goes through the application and a
graph that gives the frame back (`overlay`: the page draws what it has kept; `video`: the server's frame in a video
track of WebRTC). The peer is streamlit-webrtc with a callback that gives the frame back: it has no model server to wait
for. Browser and servers share the machine. CPU is that of the application's process (the peer's: Streamlit's) for a
drawn frame.

`latency_of_WAY` is p50 over the peer's, `cpu_of_overlay` is H.264 with `overlay` over H.264 with `video`.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import streamlit_peer
from client_bench import echo_server, report_ratios
from playwright.sync_api import Browser, Frame, Page, sync_playwright

from stream_client.monitoring.distribution import distribution

WAYS = {
    "h264": ("h264", "overlay"),
    "h264, video": ("h264", "video"),
    "jpeg": ("jpeg", "overlay"),
    "webrtc": ("webrtc", "overlay"),
}
PORT = 8765
WARM_UP = 4.0
"""Seconds after the first frame that are not measured: rates and buffers settle."""

APPLICATION = """
import sys
import aioice.ice
aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]
from stream_client.cli.web import main
sys.exit(main(sys.argv[1:]))
"""
CAMERA = """
(() => {
  const [WIDTH, HEIGHT] = %s, BITS = 20, CELL = WIDTH / BITS, TALL = 64;
  globalThis.clock = () => performance.timeOrigin + performance.now();
  const canvas = new OffscreenCanvas(WIDTH, HEIGHT);
  const context = canvas.getContext("2d", { alpha: false });
  const paint = () => {
    const code = Math.round(clock()) %% (1 << BITS);
    context.fillStyle = `hsl(${code / 20 %% 360} 40%% 40%%)`;
    context.fillRect(0, TALL, WIDTH, HEIGHT);
    for (let bit = 0; bit < BITS; bit++) {
      context.fillStyle = (code >> bit) & 1 ? "white" : "black";
      context.fillRect(bit * CELL, 0, CELL, TALL);
    }
  };
  const small = new OffscreenCanvas(BITS, 1).getContext("2d", { willReadFrequently: true });
  // Milliseconds since the frame that `picture` shows was painted.
  globalThis.ageOf = (picture, width, height, now) => {
    for (let bit = 0; bit < BITS; bit++) {
      small.drawImage(picture, (bit + 0.5) * width / BITS, height * TALL / HEIGHT / 2, 1, 1, bit, 0, 1, 1);
    }
    const { data } = small.getImageData(0, 0, BITS, 1);
    let code = 0;
    for (let bit = 0; bit < BITS; bit++) if (data[4 * bit] > 127) code |= 1 << bit;
    return ((now %% (1 << BITS)) - code + (1 << BITS)) %% (1 << BITS);
  };
  globalThis.ages = [];
  globalThis.shown = [0, 0];
  let painting;
  if (navigator.mediaDevices) navigator.mediaDevices.getUserMedia = async () => {
    const track = new MediaStreamTrackGenerator({ kind: "video" }), writer = track.writable.getWriter();
    clearInterval(painting);
    painting = setInterval(() => {
      paint();
      if (writer.desiredSize > 0) writer.write(new VideoFrame(canvas, { timestamp: 1000 * performance.now() }));
    }, 1000 / 30);
    return new MediaStream([track]);
  };
})();
"""
WATCH_OURS = """
(event) => document.getElementById("live").addEventListener(event, () => {
  const now = clock(), canvas = document.querySelector(".stage canvas");
  shown = [canvas.width, canvas.height];
  ages.push(ageOf(canvas, ...shown, now));
})
"""
WATCH_PEER = """
() => {
  const video = document.querySelector("video");
  const next = (now) => {
    shown = [video.videoWidth, video.videoHeight];
    ages.push(ageOf(video, ...shown, performance.timeOrigin + now));
    video.requestVideoFrameCallback(next);
  };
  video.requestVideoFrameCallback(next);
}
"""


def cpu_seconds(process: "subprocess.Popen[bytes]") -> float:
    """CPU time that a process has used."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def serving(command: list[str], page: Page, url: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A server in a process of its own; the page is opened once it answers."""
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet) as process:
        try:
            for _ in range(300):
                try:
                    page.goto(url)
                    break
                except Exception:  # noqa: BLE001 - nobody listens yet; Playwright has no kind for that
                    time.sleep(0.1)
            yield process
        finally:
            process.terminate()


def measure(frame: Page | Frame, process: "subprocess.Popen[bytes]", seconds: float) -> dict[str, Any]:
    """Latencies of the frames that are drawn in that time."""
    deadline = time.monotonic() + 60
    while frame.evaluate("ages.length") < 5:  # waiting in the page needs eval, which its policy forbids
        if time.monotonic() > deadline:
            sys.exit("no frame was drawn within 60 s")
        time.sleep(0.1)
    time.sleep(WARM_UP)
    frame.evaluate("ages.length = 0")
    before = cpu_seconds(process)
    time.sleep(seconds)
    ages = frame.evaluate("ages")
    used = cpu_seconds(process) - before
    found = distribution([age / 1000 for age in ages])
    assert found is not None
    return {
        "p50": found.p50,
        "p95": found.p95,
        "frames_a_second": len(ages) / seconds,
        "cpu_a_frame": used / len(ages),
        "size": "x".join(map(str, frame.evaluate("shown"))),
    }


def ours(browser: Browser, camera: str, size: str, way: str, seconds: float) -> dict[str, Any]:
    """One way in, one way back."""
    sent, back = WAYS[way]
    with echo_server() as server:
        page = browser.new_page(viewport={"width": 1100, "height": 900})
        page.add_init_script(camera)
        flags = ["--port", str(PORT), "--grpc_address", server.address]
        with serving([sys.executable, "-c", APPLICATION, *flags], page, f"http://127.0.0.1:{PORT}") as process:
            page.get_by_label("Way in").select_option(sent)
            page.get_by_label("What comes back").select_option(back)
            graph = page.get_by_label("Graph").first
            graph.evaluate("select => select.add(new Option('passThrough'))")  # of another server, the page lists none
            graph.select_option("passThrough")
            page.get_by_label("Size").select_option(size)
            page.get_by_role("button", name="Start the camera").click()
            if sent == "webrtc":
                page.locator("dd").get_by_text("WebRTC").wait_for()
            if back == "video":
                page.locator("dd").get_by_text("WebRTC, H.264").wait_for()
            page.evaluate(WATCH_OURS, "picture" if back == "video" else "drawn")
            row = measure(page, process, seconds)
        page.close()
    return row


def peer(browser: Browser, camera: str, seconds: float) -> dict[str, Any]:
    """The same by streamlit-webrtc."""
    page = browser.new_page(viewport={"width": 1100, "height": 900})
    page.add_init_script(camera)
    command = [str(streamlit_peer.python()), "-m", "streamlit", "run", streamlit_peer.__file__]
    command += ["--server.port", str(PORT + 1), "--server.headless", "true", "--server.address", "127.0.0.1"]
    command += ["--browser.gatherUsageStats", "false"]
    with serving(command, page, f"http://127.0.0.1:{PORT + 1}") as process:
        page.frame_locator("iframe").locator("video").wait_for(timeout=60_000)
        frame = next(each for each in page.frames if each.query_selector("video"))
        frame.evaluate(WATCH_PEER)
        row = measure(frame, process, seconds)
    page.close()
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="640x480", choices=["320x240", "640x480", "1280x720"])
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    camera = CAMERA % json.dumps([int(side) for side in options.size.split("x")])
    flags = ["--no-sandbox", "--allow-loopback-in-peer-connection"]
    rows: dict[str, dict[str, Any]] = {}
    print(f"{'':14}{'p50 ms':>8}{'p95 ms':>8}{'frames/s':>10}{'CPU ms/frame':>14}{'shown':>11}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
        for name in [*WAYS, "peer"]:
            row = (
                peer(browser, camera, options.seconds)
                if name == "peer"
                else ours(browser, camera, options.size, name, options.seconds)
            )
            rows[name] = row
            times = f"{1000 * row['p50']:8.0f}{1000 * row['p95']:8.0f}{row['frames_a_second']:10.1f}"
            print(f"{name:14}{times}{1000 * row['cpu_a_frame']:14.1f}{row['size']:>11}", flush=True)
        browser.close()
    ratios = {f"latency_of_{name}": rows[name]["p50"] / rows["peer"]["p50"] for name in WAYS}
    ratios["cpu_of_overlay"] = rows["h264"]["cpu_a_frame"] / rows["h264, video"]["cpu_a_frame"]
    report_ratios(ratios, options.json, rows=rows)


if __name__ == "__main__":
    main()
