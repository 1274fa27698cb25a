// A peer connection of a live session, whose offer the socket carries: a data channel for frames and results, a video
// track for what the server draws.

const CONNECT_WITHIN = 8000;
const LATE_AFTER = 150;
const LOOK_EVERY = 500;

export class RtcPeer {
  /** `wanted` says whether `frames` are sent, and `video` is taken. `on` has the listeners `offer(sdp)`, `open`,
   * `message(ArrayBuffer)`, `picture(video)`, `keyFrame` and `lost(reason)`. */
  constructor(iceServers, wanted, on) {
    this.on = on;
    this.peer = new RTCPeerConnection({ iceServers });
    this.channel = wanted.frames ? this.makeChannel() : null;
    this.video = wanted.video ? this.makeVideo() : null;
    this.pictures = 0;
    this.peer.onconnectionstatechange = () => {
      const { connectionState: state } = this.peer;
      if (state === "connected") clearTimeout(this.timer);
      if (state === "failed") this.lose("WebRTC does not connect: is UDP blocked?");
      if (state === "closed") this.lose("WebRTC was closed.");
    };
    this.timer = setTimeout(() => this.lose("WebRTC does not connect: is UDP blocked?"), CONNECT_WITHIN);
    this.offer().catch((error) => this.lose(`WebRTC does not begin: ${error.message}.`));
  }

  makeChannel() {
    // What is older than that is given up: the next frame is worth more.
    const channel = this.peer.createDataChannel("frames", { ordered: true, maxPacketLifeTime: LATE_AFTER });
    channel.binaryType = "arraybuffer";
    channel.onopen = () => this.on.open();
    channel.onmessage = ({ data }) => this.on.message(data);
    channel.onclose = () => this.lose("WebRTC was closed.");
    return channel;
  }

  makeVideo() {
    const { receiver } = this.peer.addTransceiver("video", { direction: "recvonly" });
    if ("jitterBufferTarget" in receiver) receiver.jitterBufferTarget = 0;
    const video = document.createElement("video");
    video.muted = video.playsInline = true;
    video.srcObject = new MediaStream([receiver.track]);
    video.play().catch(() => {}); // closed before its first frame
    const next = () => {
      if (this.peer === null) return;
      this.pictures++;
      this.on.picture(video);
      video.requestVideoFrameCallback(next);
    };
    video.requestVideoFrameCallback(next);
    this.looking = setInterval(() => this.look(receiver), LOOK_EVERY);
    return video;
  }

  /** The browser's own requests for a key frame (PLI) end in the server's library, so they are passed on. */
  async look(receiver) {
    for (const stats of (await receiver.getStats()).values()) {
      if (stats.type !== "inbound-rtp") continue;
      if (stats.pliCount > (this.requests ?? 0)) this.on.keyFrame();
      this.requests = stats.pliCount;
    }
  }

  get open() {
    return this.channel?.readyState === "open";
  }

  /** Whether pictures come. */
  get shows() {
    return this.pictures > 0;
  }

  /** Send its offer once all addresses are in it. */
  async offer() {
    const { peer } = this;
    await peer.setLocalDescription();
    if (peer.iceGatheringState !== "complete") {
      await new Promise((resolve) => {
        peer.addEventListener("icegatheringstatechange", () => {
          if (peer.iceGatheringState === "complete") resolve();
        });
      });
    }
    if (this.peer) this.on.offer(peer.localDescription.sdp);
  }

  answered(sdp) {
    return this.peer?.setRemoteDescription({ type: "answer", sdp });
  }

  lose(reason) {
    if (this.close()) this.on.lost(reason);
  }

  /** True the first time. */
  close() {
    const first = this.peer !== null;
    clearTimeout(this.timer);
    clearInterval(this.looking);
    if (this.channel) this.channel.onclose = null;
    if (this.video) this.video.srcObject = null;
    this.peer?.close();
    this.peer = null;
    return first;
  }
}
