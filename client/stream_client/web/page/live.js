// The Live part: the browser's camera, its landmarks and labels on the frame that they belong to.
import { Camera } from "/camera.js";
import { element, facts } from "/dom.js";
import { LiveControls } from "/live_controls.js";
import { LatencyPlot } from "/plot.js";
import { FrameSender } from "/sender.js";
import { LiveSocket } from "/socket.js";
import { Stage } from "/stage.js";

export class LivePart {
  constructor(section) {
    this.section = section;
    this.camera = new Camera();
    this.stage = new Stage();
    this.sender = new FrameSender((text) => this.say(text));
    this.controls = new LiveControls({
      settings: () => this.changeSettings(),
      way: () => this.wayChanged(),
      size: () => this.running && this.start(),
      mirror: () => this.mirrorChanged(),
    });
    this.button = element("button", { className: "main", textContent: "Start the camera", onclick: () => this.toggle() });
    this.twin = element("button", { textContent: "Start the camera", onclick: () => this.toggle() });
    this.home = element("div", {}, this.stage.element);
    this.problem = element("p", { className: "problem", role: "status" });
    this.facts = element("dl");
    const plot = element("canvas", { className: "plot" });
    this.plot = new LatencyPlot(plot);
    section.append(
      element("div", { className: "controls" }, this.button, ...this.controls.elements),
      this.problem,
      element("div", { className: "columns" },
        this.home,
        element("div", {}, this.facts, element("h2", { textContent: "Latency" }), plot)),
    );
    this.mirrorChanged();
  }

  show() {
    this.controls.offer().catch((error) => this.say(error.message));
    this.ticking ??= setInterval(() => this.tick(), 250);
  }

  /** Stop the camera, unless the Teach part goes on with it. */
  hide(next) {
    if (next === "teach") return;
    this.stop();
    clearInterval(this.ticking);
    this.ticking = null;
  }

  say(text) {
    this.problem.textContent = text;
  }

  get running() {
    return this.camera.stream !== null;
  }

  toggle() {
    if (this.running) this.stop();
    else this.start();
  }

  async start() {
    this.stop();
    this.say("");
    try {
      await this.camera.start(...this.controls.size, (video, captured) => this.sender.take(video, captured), (reason) => {
        this.stop();
        this.say(reason);
      });
    } catch (error) {
      this.stop();
      this.say(error.message);
      return;
    }
    this.button.textContent = this.twin.textContent = "Stop the camera";
    this.socket = new LiveSocket({
      open: () => this.connected(),
      result: (result) => this.answered(result),
      picture: (video) => this.pictureCame(video),
      status: (status) => this.status(status),
      recorded: (clip) => this.section.dispatchEvent(new CustomEvent("recorded", { detail: clip })),
      problem: (text) => this.say(text),
    });
    this.wayChanged();
    this.changeSettings();
  }

  stop() {
    this.camera.stop();
    this.socket?.close();
    this.socket = null;
    this.sender.use(null, "");
    this.sender.forget();
    this.button.textContent = this.twin.textContent = "Start the camera";
  }

  connected() {
    this.say("");
    this.sender.resetEncoder();
    this.sender.forget();
  }

  /** Show the picture elsewhere. */
  lend(place) {
    this.show();
    this.controls.forTeaching();
    this.changeSettings();
    this.wayChanged();
    place.append(this.stage.element);
  }

  takeBack() {
    this.home.append(this.stage.element);
  }

  /** Record a clip of a class, or end it with null. */
  record(label) {
    this.socket?.send(JSON.stringify({ record: label }));
  }

  /** Label by a classifier from now on. */
  async useClassifier(name) {
    await this.controls.offer();
    this.controls.classifier.select.value = name;
    this.changeSettings();
  }

  changeSettings() {
    this.socket?.change(this.controls.settings);
  }

  wayChanged() {
    this.say("");
    const { way, video } = this.controls;
    this.socket?.useRtc({ frames: way === "webrtc", video });
    this.sender.use(this.socket, way);
  }

  mirrorChanged() {
    this.stage.mirrored = this.controls.mirror.checked;
  }

  async answered(result) {
    const sent = this.sender.answered(result.number);
    if (!sent) return;
    if (result.jpeg) {
      const picture = await createImageBitmap(result.jpeg);
      this.stage.drawPicture(picture, picture.width, picture.height);
      picture.close();
    } else if (!result.video) {
      this.stage.drawOverlay(sent.frame, result, () => this.tell("frame", result));
    }
    sent.frame.close();
    const stages = Object.values(result.stages).reduce((sum, value) => sum + value, 0);
    this.plot.add(performance.timeOrigin + performance.now() - sent.captured, stages);
    this.tell("drawn", result);
  }

  /** A frame of the server's video. */
  pictureCame(video) {
    this.stage.drawPicture(video, video.videoWidth, video.videoHeight);
    this.tell("picture", null);
  }

  tell(name, detail) {
    this.section.dispatchEvent(new CustomEvent(name, { detail }));
  }

  status(status) {
    this.sender.loseOld(); // the browser gives no new frames while many are held
    if (status.keyFrame) this.sender.restart();
    else this.server = status;
  }

  tick() {
    const { server, plot, socket } = this;
    const { captured, skipped } = this.sender.counts;
    const milliseconds = (value) => (Number.isFinite(value) ? `${Math.round(value)} ms` : "-");
    const rows = {
      "Way in": this.sender.encoding && socket ? `${socket.way}, ${this.sender.encoding}` : "-",
      "Way back": socket ? (this.controls.video ? (socket.video ? "WebRTC, H.264" : "JPEG") : "landmarks") : "-",
      [socket?.video ? "Camera to answer" : "Camera to page"]:
        `${milliseconds(plot.quantile(0.5))}, p95 ${milliseconds(plot.quantile(0.95))}`,
      Drawn: `${this.stage.drawn} of ${captured} frames`,
      "Left out": `${skipped} here, ${server?.counts.dropped ?? 0} at the server`,
      "Model server": this.running ? (server?.server ?? "connecting") : "-",
      Verdict: server?.verdict || "-",
    };
    this.facts.replaceChildren(...facts(rows));
    plot.draw();
  }
}
