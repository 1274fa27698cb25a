// Encoders of the camera's frames, by what the browser has. Each calls `ready(kind, number, captured, data)`.
import { DELTA, JPEG, KEY } from "/messages.js";

const BITS_A_PIXEL = 0.12;
const KEY_FRAME_EVERY = 150;

/** H.264 by WebCodecs. */
export class H264Encoder {
  static label = "H.264";

  /** Whether this browser can encode that size. */
  static async works(width, height) {
    if (!("VideoEncoder" in globalThis)) return false;
    const { supported } = await VideoEncoder.isConfigSupported(configuration(width, height)).catch(() => ({}));
    return supported === true;
  }

  constructor(width, height, ready, failed) {
    this.width = width;
    this.height = height;
    this.frames = 0;
    this.captured = new Map();
    this.encoder = new VideoEncoder({
      output: (chunk) => {
        const data = new Uint8Array(chunk.byteLength);
        chunk.copyTo(data);
        const [number, captured] = this.captured.get(chunk.timestamp);
        this.captured.delete(chunk.timestamp);
        ready(chunk.type === "key" ? KEY : DELTA, number, captured, data);
      },
      error: failed,
    });
    this.encoder.configure(configuration(width, height));
  }

  get busy() {
    return this.encoder.encodeQueueSize > 2;
  }

  /** The next frame is a key frame. */
  restart() {
    this.frames = 0;
  }

  encode(frame, number, captured) {
    this.captured.set(frame.timestamp, [number, captured]);
    this.encoder.encode(frame, { keyFrame: this.frames++ % KEY_FRAME_EVERY === 0 });
  }

  close() {
    if (this.encoder.state !== "closed") this.encoder.close();
  }
}

function configuration(width, height) {
  const level = width * height <= 1280 * 720 ? "1f" : width * height <= 1920 * 1088 ? "28" : "33";
  return {
    codec: `avc1.4200${level}`,
    width,
    height,
    bitrate: Math.round(BITS_A_PIXEL * 30 * width * height),
    framerate: 30,
    latencyMode: "realtime",
    avc: { format: "annexb" },
  };
}

/** JPEG by a canvas, which every browser has. */
export class JpegEncoder {
  static label = "JPEG";

  static async works() {
    return "OffscreenCanvas" in globalThis;
  }

  constructor(width, height, ready, failed) {
    this.width = width;
    this.height = height;
    this.ready = ready;
    this.failed = failed;
    this.canvas = new OffscreenCanvas(width, height);
    this.context = this.canvas.getContext("2d", { alpha: false });
    this.busy = false;
  }

  restart() {}

  encode(frame, number, captured) {
    this.busy = true;
    this.context.drawImage(frame, 0, 0, this.width, this.height);
    this.canvas
      .convertToBlob({ type: "image/jpeg", quality: 0.8 })
      .then((blob) => blob.arrayBuffer())
      .then((data) => this.ready(JPEG, number, captured, new Uint8Array(data)), this.failed)
      .finally(() => (this.busy = false));
  }

  close() {}
}

export const ENCODERS = { h264: H264Encoder, jpeg: JpegEncoder };
