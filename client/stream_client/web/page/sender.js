// The camera's frames on their way: which are encoded and sent, and which wait for their answer.
import { ENCODERS } from "/encoders.js";
import { frameMessage } from "/messages.js";

const MOST_UNANSWERED = 4;
const LOST_AFTER = 3000;

export class FrameSender {
  /** `problem(text)` is called with what goes wrong. */
  constructor(problem) {
    this.problem = problem;
    this.pending = new Map();
    this.number = 0;
    this.counts = { captured: 0, sent: 0, skipped: 0 };
    this.wanted = "";
    this.socket = null;
  }

  /** Send by this socket from now on, with an encoder of that name, or the best that works here. */
  use(socket, wanted) {
    this.socket = socket;
    this.wanted = wanted;
    this.resetEncoder();
  }

  /** How frames are encoded now; empty before the first one. */
  get encoding() {
    return this.encoder?.constructor.label ?? "";
  }

  resetEncoder() {
    this.encoder?.close();
    this.encoder = null;
  }

  /** The next frame is a key frame. */
  restart() {
    this.encoder?.restart();
  }

  /** A frame of the camera: it is sent, or left out where too many have no answer. */
  async take(video, captured) {
    const { videoWidth: width, videoHeight: height } = video;
    this.counts.captured++;
    if (!this.socket?.open || !width || this.choosing) return;
    if (this.encoder?.width !== width || this.encoder?.height !== height) {
      this.choosing = true;
      this.resetEncoder();
      try {
        this.encoder = await this.chooseEncoder(width, height);
      } catch (error) {
        this.problem(error.message);
      }
      this.choosing = false;
      return;
    }
    this.loseOld();
    if (this.pending.size >= MOST_UNANSWERED || this.encoder.busy || this.socket.waiting > 1e6) {
      this.counts.skipped++;
      return;
    }
    const number = this.number++;
    const frame = new VideoFrame(video, { timestamp: Math.round(1000 * performance.now()) });
    this.pending.set(number, { frame, captured, since: performance.now() });
    this.encoder.encode(frame, number, captured);
  }

  /** The frame of that number with its capture time, null for one that nobody waits for. Whoever takes it closes it. */
  answered(number) {
    const sent = this.pending.get(number) ?? null;
    for (const [earlier, { frame }] of this.pending) {
      if (earlier >= number) break;
      frame.close(); // left out by the pipeline: results come in the order of frames
      this.pending.delete(earlier);
    }
    this.pending.delete(number);
    return sent;
  }

  /** Frames that were not answered for long will not be. */
  loseOld() {
    const old = performance.now() - LOST_AFTER;
    if ([...this.pending.values()].some(({ since }) => since < old)) {
      this.forget();
      this.restart();
    }
  }

  /** Wait for no answer. */
  forget() {
    for (const { frame } of this.pending.values()) frame.close();
    this.pending.clear();
  }

  async chooseEncoder(width, height) {
    const order = this.wanted in ENCODERS ? [this.wanted] : Object.keys(ENCODERS);
    for (const name of order) {
      if (!(await ENCODERS[name].works(width, height))) continue;
      return new ENCODERS[name](width, height, (...frame) => this.encoded(...frame), (error) => {
        this.problem(`encoding failed: ${error.message}`);
        this.resetEncoder();
      });
    }
    throw new Error(`this browser cannot encode by ${order.join(" or ")}: choose another way in`);
  }

  encoded(kind, number, captured, data) {
    this.counts.sent++;
    this.socket?.sendFrame(frameMessage(kind, number, captured, data));
  }
}
