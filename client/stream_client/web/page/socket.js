// A live session: frames out, results in. It reconnects by itself.
import { parseResult } from "/messages.js";
import { RtcChannel } from "/rtc.js";

const ALIVE_EVERY = 5000;
const LONGEST_WAIT = 5000;

export class LiveSocket {
  /** `on` has the listeners `open`, `result`, `status`, `recorded` and `problem`. */
  constructor(on) {
    this.on = on;
    this.settings = {};
    this.wantsRtc = false;
    this.rtc = null;
    this.wait = 250;
    this.connect();
    this.alive = setInterval(() => this.send('"alive"'), ALIVE_EVERY);
  }

  get open() {
    return this.socket?.readyState === WebSocket.OPEN;
  }

  /** Bytes that are not on the wire yet. */
  get waiting() {
    return (this.rtc?.open ? this.rtc.channel : this.socket)?.bufferedAmount ?? 0;
  }

  /** The way of the frames. */
  get way() {
    return this.rtc?.open ? "WebRTC" : "websocket";
  }

  /** Send frames by WebRTC as soon as it is connected, or by the websocket. */
  useRtc(wanted) {
    this.wantsRtc = wanted;
    this.rtc?.close();
    this.rtc = null;
    if (!wanted || !this.open || this.iceServers === undefined) return;
    if (!("RTCPeerConnection" in globalThis)) {
      this.on.problem("this browser has no WebRTC: the websocket is used");
    } else if (this.iceServers === null) {
      this.on.problem("WebRTC needs the extra webrtc at the application: the websocket is used");
    } else {
      this.rtc = new RtcChannel(this.iceServers, {
        offer: (offer) => this.send(JSON.stringify({ offer })),
        open: () => this.on.status({ keyFrame: true }),
        message: (data) => this.on.result(parseResult(data)),
        lost: (reason) => {
          this.rtc = null;
          this.on.status({ keyFrame: true });
          this.on.problem(reason);
        },
      });
    }
  }

  sendFrame(message) {
    if (this.rtc?.open) this.rtc.channel.send(message);
    else this.send(message);
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
      this.rtc?.close();
      this.rtc = null;
      this.on.problem(reason || "the application is away: trying again");
      setTimeout(() => this.socket && this.connect(), this.wait);
      this.wait = Math.min(LONGEST_WAIT, 2 * this.wait);
    };
  }

  text(message) {
    if (message.counts) this.on.status(message);
    if (message.key_frame) this.on.status({ keyFrame: true });
    if ("webrtc" in message) {
      this.iceServers = message.webrtc;
      this.useRtc(this.wantsRtc);
    }
    if (message.answer) this.rtc?.answered(message.answer);
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
    this.rtc?.close();
    socket?.close();
  }
}
