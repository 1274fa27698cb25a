// The browser's camera: its frames, each with the time at which it was captured.

const PROBLEMS = {
  NotAllowedError: "the browser may not use the camera: allow it beside the address, then start again",
  NotFoundError: "this device has no camera: connect one, then start again",
  NotReadableError: "the camera is in use: close the other program or tab, then start again",
  OverconstrainedError: "the camera has no such size: choose another one",
};

export class Camera {
  constructor() {
    this.video = document.createElement("video");
    this.video.muted = this.video.playsInline = true;
    this.stream = null;
  }

  /** Open it, and call `onframe(video, captured)` for each frame. Throws an Error with one line. */
  async start(width, height, onframe, onend) {
    if (!navigator.mediaDevices) {
      throw new Error("browsers give a camera only over HTTPS or on localhost: start with --tls_cert and --tls_key");
    }
    const size = { width: { ideal: width }, height: { ideal: height }, frameRate: { ideal: 30 } };
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({ video: size });
    } catch (error) {
      throw new Error(PROBLEMS[error.name] ?? `the camera cannot be opened: ${error.message}`);
    }
    const [track] = this.stream.getVideoTracks();
    track.addEventListener("ended", () => onend("the camera has gone: connect it, then start again"));
    this.video.srcObject = this.stream;
    await this.video.play();
    const next = (now, details) => {
      if (this.stream === null) return;
      onframe(this.video, performance.timeOrigin + (details.captureTime ?? now));
      this.video.requestVideoFrameCallback(next);
    };
    this.video.requestVideoFrameCallback(next);
  }

  stop() {
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = null;
    this.video.srcObject = null;
  }
}
