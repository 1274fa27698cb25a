// The Live part: the browser's camera, its landmarks and labels on the frame that they belong to.
import { Camera } from "/camera.js";
import { api, choice, element, facts, fill } from "/dom.js";
import { ENCODERS } from "/encoders.js";
import { frameMessage } from "/messages.js";
import { drawPersons } from "/overlay.js";
import { LatencyPlot } from "/plot.js";
import { LiveSocket } from "/socket.js";

const MOST_UNANSWERED = 4;
const LOST_AFTER = 3000;
const SIZES = [["640x480", "640 x 480"], ["1280x720", "1280 x 720"], ["320x240", "320 x 240"]];
const WAYS = [
  ["auto", "automatic"], ["h264", "websocket, H.264"], ["jpeg", "websocket, JPEG"], ["webrtc", "WebRTC"],
];
const SMOOTHINGS = [["", "as usual"], ["0", "none"], ["0.1", "0.1 s"], ["1", "1 s"]];
const GRAPH = "holisticLandmarks";

export class LivePart {
  constructor(section) {
    this.camera = new Camera();
    this.pending = new Map();
    this.number = 0;
    this.counts = { captured: 0, sent: 0, skipped: 0, drawn: 0 };
    this.build(section);
  }

  build(section) {
    this.section = section;
    const changed = () => this.changeSettings();
    this.model = choice("Graph", [[GRAPH, GRAPH]], changed);
    this.classifier = choice("Classifier", [["", "the graph's own"]], changed);
    this.smoothing = choice("Smoothing", SMOOTHINGS, changed);
    this.back = choice("What comes back", [["overlay", "landmarks, drawn here"], ["video", "the server's drawing"]], changed);
    this.way = choice("Way in", WAYS, () => this.wayChanged());
    this.size = choice("Size", SIZES, () => this.running && this.start());
    this.mirror = element("input", { type: "checkbox", checked: true, onchange: () => this.mirrorChanged() });
    this.button = element("button", { className: "main", textContent: "Start the camera", onclick: () => this.toggle() });
    this.canvas = element("canvas", { width: 640, height: 480 });
    this.context = this.canvas.getContext("2d", { alpha: false });
    this.label = element("div", { className: "label" });
    this.stage = element("div", { className: "stage" }, this.canvas, this.label);
    this.home = element("div", {}, this.stage);
    this.twin = element("button", { textContent: "Start the camera", onclick: () => this.toggle() });
    this.problem = element("p", { className: "problem", role: "status" });
    this.facts = element("dl");
    const plot = element("canvas", { className: "plot" });
    this.plot = new LatencyPlot(plot);
    const choices = [this.model, this.classifier, this.smoothing, this.back, this.way, this.size].map(({ label }) => label);
    section.append(
      element("div", { className: "controls" }, this.button, ...choices,
        element("label", { className: "check" }, this.mirror, "Mirror")),
      this.problem,
      element("div", { className: "columns" },
        this.home,
        element("div", {}, this.facts, element("h2", { textContent: "Latency" }), plot)),
    );
    this.mirrorChanged();
  }

  show() {
    this.offer();
    this.ticking ??= setInterval(() => this.tick(), 250);
  }

  /** Stop the camera, unless the Teach part goes on with it. */
  hide(next) {
    if (next === "teach") return;
    this.stop();
    clearInterval(this.ticking);
    this.ticking = null;
  }

  /** Fill the choices with what the model server has. */
  async offer() {
    try {
      const [servables, classifiers] = await Promise.all([api("/api/servables"), api("/api/classifiers")]);
      const names = servables.map(({ name }) => name).filter((name) => /holistic|iris|passThrough/i.test(name));
      if (names.length) fill(this.model.select, names.map((name) => [name, name]));
      if (!this.model.chosen && names.includes(GRAPH)) this.model.select.value = GRAPH;
      this.model.chosen = true;
      fill(this.classifier.select, [["", "the graph's own"], ...classifiers.map(({ name }) => [name, name])]);
    } catch (error) {
      this.problem.textContent = error.message;
    }
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
    this.problem.textContent = "";
    const [width, height] = this.size.select.value.split("x").map(Number);
    try {
      await this.camera.start(width, height, (video, captured) => this.captured(video, captured), (reason) => {
        this.stop();
        this.problem.textContent = reason;
      });
    } catch (error) {
      this.stop();
      this.problem.textContent = error.message;
      return;
    }
    this.button.textContent = this.twin.textContent = "Stop the camera";
    this.socket = new LiveSocket({
      open: () => this.connected(),
      result: (result) => this.answered(result),
      status: (status) => this.status(status),
      recorded: (clip) => this.section.dispatchEvent(new CustomEvent("recorded", { detail: clip })),
      problem: (text) => (this.problem.textContent = text),
    });
    this.wayChanged();
    this.changeSettings();
  }

  stop() {
    this.camera.stop();
    this.socket?.close();
    this.socket = null;
    this.resetEncoder();
    this.forget();
    this.button.textContent = this.twin.textContent = "Start the camera";
  }

  connected() {
    this.problem.textContent = "";
    this.resetEncoder();
    this.forget();
  }

  /** Show the picture elsewhere. */
  lend(place) {
    this.show();
    this.model.select.value = GRAPH;
    this.back.select.value = "overlay";
    this.changeSettings();
    place.append(this.stage);
  }

  takeBack() {
    this.home.append(this.stage);
  }

  /** Record a clip of a class, or end it with null. */
  record(label) {
    this.socket?.send(JSON.stringify({ record: label }));
  }

  /** The frame that is shown, small. */
  snapshot() {
    const small = element("canvas", { width: 160, height: Math.round((160 * this.canvas.height) / this.canvas.width) });
    small.getContext("2d").drawImage(this.canvas, 0, 0, small.width, small.height);
    return small.toDataURL("image/jpeg", 0.7);
  }

  /** Label by a classifier from now on. */
  async useClassifier(name) {
    await this.offer();
    this.classifier.select.value = name;
    this.changeSettings();
  }

  changeSettings() {
    this.socket?.change({
      model_name: this.model.select.value,
      classifier: this.classifier.select.value || null,
      smoothing: this.smoothing.select.value === "" ? null : Number(this.smoothing.select.value),
      video: this.back.select.value === "video",
    });
  }

  wayChanged() {
    this.problem.textContent = "";
    this.socket?.useRtc(this.way.select.value === "webrtc");
    this.resetEncoder();
  }

  mirrorChanged() {
    this.canvas.classList.toggle("mirrored", this.mirror.checked);
  }

  // --- out

  resetEncoder() {
    this.encoder?.close();
    this.encoder = null;
  }

  /** The encoder for frames of that size: the one that the user forces, or the best that works here. */
  async chooseEncoder(width, height) {
    const wanted = this.way.select.value;
    const order = wanted in ENCODERS ? [wanted] : Object.keys(ENCODERS);
    for (const name of order) {
      if (!(await ENCODERS[name].works(width, height))) continue;
      return new ENCODERS[name](width, height, (...frame) => this.encoded(...frame), (error) => {
        this.problem.textContent = `encoding failed: ${error.message}`;
        this.resetEncoder();
      });
    }
    throw new Error(`this browser cannot encode by ${order.join(" or ")}: choose another way in`);
  }

  async captured(video, captured) {
    const { videoWidth: width, videoHeight: height } = video;
    this.counts.captured++;
    if (!this.socket?.open || !width || this.choosing) return;
    if (this.encoder?.width !== width || this.encoder?.height !== height) {
      this.choosing = true;
      this.resetEncoder();
      try {
        this.encoder = await this.chooseEncoder(width, height);
      } catch (error) {
        this.problem.textContent = error.message;
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

  encoded(kind, number, captured, data) {
    this.counts.sent++;
    this.socket?.sendFrame(frameMessage(kind, number, captured, data));
  }

  /** Frames that were not answered for long will not be. */
  loseOld() {
    const old = performance.now() - LOST_AFTER;
    if ([...this.pending.values()].some(({ since }) => since < old)) {
      this.forget();
      this.encoder?.restart();
    }
  }

  forget() {
    for (const { frame } of this.pending.values()) frame.close();
    this.pending.clear();
  }

  // --- back

  async answered(result) {
    const sent = this.pending.get(result.number);
    for (const [number, { frame }] of this.pending) {
      if (number >= result.number) break;
      frame.close(); // left out by the pipeline: results come in the order of frames
      this.pending.delete(number);
    }
    if (!sent) return;
    this.pending.delete(result.number);
    const picture = result.jpeg ? await createImageBitmap(result.jpeg) : sent.frame;
    this.draw(result, picture);
    picture.close();
    sent.frame.close();
    const stages = Object.values(result.stages).reduce((sum, value) => sum + value, 0);
    this.plot.add(performance.timeOrigin + performance.now() - sent.captured, stages);
  }

  draw(result, picture) {
    const [width, height] = [picture.displayWidth ?? picture.width, picture.displayHeight ?? picture.height];
    if (this.canvas.width !== width || this.canvas.height !== height) {
      [this.canvas.width, this.canvas.height] = [width, height];
    }
    this.context.drawImage(picture, 0, 0, width, height);
    this.section.dispatchEvent(new CustomEvent("frame", { detail: result }));
    if (!result.jpeg) drawPersons(this.context, result.persons, this.mirror.checked);
    const several = result.persons.some(({ person }) => person);
    const [name, score] = several ? [] : (result.label ?? []);
    this.label.textContent = name && !result.jpeg ? `${name} ${Math.round(100 * score)} %` : "";
    this.counts.drawn++;
    this.section.dispatchEvent(new CustomEvent("drawn", { detail: result }));
  }

  status(status) {
    this.loseOld(); // the browser gives no new frames while many are held
    if (status.keyFrame) this.encoder?.restart();
    else this.server = status;
  }

  tick() {
    const { counts, server, plot } = this;
    const milliseconds = (value) => (Number.isFinite(value) ? `${Math.round(value)} ms` : "-");
    const rows = {
      "Way in": this.encoder && this.socket ? `${this.socket.way}, ${this.encoder.constructor.label}` : "-",
      "Camera to page": `${milliseconds(plot.quantile(0.5))}, p95 ${milliseconds(plot.quantile(0.95))}`,
      Drawn: `${counts.drawn} of ${counts.captured} frames`,
      "Left out": `${counts.skipped} here, ${server?.counts.dropped ?? 0} at the server`,
      "Model server": this.running ? (server?.server ?? "connecting") : "-",
      Verdict: server?.verdict || "-",
    };
    this.facts.replaceChildren(...facts(rows));
    plot.draw();
  }
}
