// A live session: frames out, results in. It reconnects by itself.
import { parseResult } from "/messages.js";

const ALIVE_EVERY = 5000;
const LONGEST_WAIT = 5000;

export class LiveSocket {
  /** `on` has the listeners `open`, `result`, `status`, `recorded` and `problem`. */
  constructor(on) {
    this.on = on;
    this.settings = {};
    this.wait = 250;
    this.connect();
    this.alive = setInterval(() => this.send('"alive"'), ALIVE_EVERY);
  }

  get open() {
    return this.socket?.readyState === WebSocket.OPEN;
  }

  /** Bytes that are not on the wire yet. */
  get waiting() {
    return this.socket?.bufferedAmount ?? 0;
  }

  connect() {
    this.socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws/live`);
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => {
      this.wait = 250;
      this.change(this.settings);
      this.on.open();
    };
    this.socket.onmessage = ({ data }) => {
      if (data instanceof ArrayBuffer) this.on.result(parseResult(data));
      else this.text(JSON.parse(data));
    };
    this.socket.onclose = ({ reason }) => {
      if (this.socket === null) return;
      this.on.problem(reason || "the application is away: trying again");
      setTimeout(() => this.socket && this.connect(), this.wait);
      this.wait = Math.min(LONGEST_WAIT, 2 * this.wait);
    };
  }

  text(message) {
    if (message.counts) this.on.status(message);
    if (message.key_frame) this.on.status({ keyFrame: true });
    if ("recorded" in message) this.on.recorded(message.recorded);
    const problem = message.error ?? message.problem ?? message.refused;
    if (problem) this.on.problem(problem);
  }

  send(data) {
    if (this.open) this.socket.send(data);
  }

  /** Other settings of the session: `model_name`, `classifier`, `video`. */
  change(settings) {
    this.settings = settings;
    if (Object.keys(settings).length) this.send(JSON.stringify(settings));
  }

  close() {
    const socket = this.socket;
    this.socket = null;
    clearInterval(this.alive);
    socket?.close();
  }
}
