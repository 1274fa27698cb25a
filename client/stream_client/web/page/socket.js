// A live session: frames out, results in. It reconnects by itself.
import { parseResult } from "/messages.js";
import { RtcPeer } from "/rtc.js";

const ALIVE_EVERY = 5000;
const LONGEST_WAIT = 5000;
const NOTHING = { frames: false, video: false };

export class LiveSocket {
  /** `on` has the listeners `open`, `result`, `picture`, `status`, `recorded` and `problem`. */
  constructor(on) {
    this.on = on;
    this.settings = {};
    this.wanted = NOTHING;
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

  /** Whether the server's drawing comes as a video track. */
  get video() {
    return this.rtc?.shows ?? false;
  }

  /** Send `frames` by WebRTC, and take the server's drawing as its `video`, as soon as that is connected. */
  useRtc(wanted) {
    this.wanted = wanted;
    this.closeRtc();
    if (!(wanted.frames || wanted.video) || !this.open || this.iceServers === undefined) return;
    if (!("RTCPeerConnection" in globalThis)) {
      this.lostRtc("This browser has no WebRTC.");
    } else if (this.iceServers === null) {
      this.lostRtc("WebRTC needs the extra webrtc at the application.");
    } else {
      this.rtc = new RtcPeer(this.iceServers, wanted, {
        offer: (offer) => this.send(JSON.stringify({ offer })),
        open: () => this.on.status({ keyFrame: true }),
        message: (data) => this.on.result(parseResult(data)),
        picture: (video) => this.on.picture(video),
        keyFrame: () => this.send('"key_frame"'),
        lost: (reason) => {
          this.rtc = null;
          this.send('"no_webrtc"');
          this.on.status({ keyFrame: true });
          this.lostRtc(reason);
        },
      });
    }
  }

  /** Say what is used instead. */
  lostRtc(reason) {
    const instead = [];
    if (this.wanted.frames) instead.push("The websocket is used.");
    if (this.wanted.video) instead.push("The drawing comes as JPEG.");
    this.on.problem([reason, ...instead].join(" "));
  }

  closeRtc() {
    if (this.rtc?.close()) this.send('"no_webrtc"');
    this.rtc = null;
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
      this.useRtc(this.wanted);
    }
    if (message.answer) this.rtc?.answered(message.answer);
    if (message.webrtc_refused) {
      this.rtc?.lose(`${message.refused}.`);
      return;
    }
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
