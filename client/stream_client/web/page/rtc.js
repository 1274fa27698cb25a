// A data channel of WebRTC for the frames and results of a live session. The socket carries its offer.

const CONNECT_WITHIN = 8000;
const LATE_AFTER = 150;

export class RtcChannel {
  /** `on` has the listeners `offer(sdp)`, `open`, `message(ArrayBuffer)` and `lost(reason)`. */
  constructor(iceServers, on) {
    this.on = on;
    this.peer = new RTCPeerConnection({ iceServers });
    // What is older than that is given up: the next frame is worth more.
    this.channel = this.peer.createDataChannel("frames", { ordered: true, maxPacketLifeTime: LATE_AFTER });
    this.channel.binaryType = "arraybuffer";
    this.channel.onopen = () => {
      clearTimeout(this.timer);
      on.open();
    };
    this.channel.onmessage = ({ data }) => on.message(data);
    this.channel.onclose = () => this.lose("WebRTC was closed.");
    this.peer.onconnectionstatechange = () => {
      if (this.peer.connectionState === "failed") this.lose("WebRTC does not connect: is UDP blocked?");
    };
    this.timer = setTimeout(() => this.lose("WebRTC does not connect: is UDP blocked?"), CONNECT_WITHIN);
    this.offer();
  }

  get open() {
    return this.channel.readyState === "open";
  }

  /** Send its offer once all addresses are in it. */
  async offer() {
    await this.peer.setLocalDescription();
    if (this.peer.iceGatheringState !== "complete") {
      await new Promise((resolve) => {
        this.peer.addEventListener("icegatheringstatechange", () => {
          if (this.peer.iceGatheringState === "complete") resolve();
        });
      });
    }
    this.on.offer(this.peer.localDescription.sdp);
  }

  answered(sdp) {
    return this.peer.setRemoteDescription({ type: "answer", sdp });
  }

  lose(reason) {
    if (this.close()) this.on.lost(`${reason} The websocket is used.`);
  }

  /** True the first time. */
  close() {
    const first = this.peer !== null;
    clearTimeout(this.timer);
    this.channel.onclose = null;
    this.peer?.close();
    this.peer = null;
    return first;
  }
}
