// The choices of the Live part, which may change while it runs.
import { api, choice, element, fill } from "/dom.js";

const SIZES = [["640x480", "640 x 480"], ["1280x720", "1280 x 720"], ["320x240", "320 x 240"]];
const WAYS = [
  ["auto", "automatic"], ["h264", "websocket, H.264"], ["jpeg", "websocket, JPEG"], ["webrtc", "WebRTC"],
];
const SMOOTHINGS = [["", "as usual"], ["0", "none"], ["0.1", "0.1 s"], ["1", "1 s"]];
const BACK = [["overlay", "landmarks, drawn here"], ["video", "the server's drawing, as video"]];
const GRAPH = "holisticLandmarks";

export class LiveControls {
  /** `on` has the listeners `settings`, `way`, `size` and `mirror`. */
  constructor(on) {
    this.model = choice("Graph", [[GRAPH, GRAPH]], on.settings);
    this.classifier = choice("Classifier", [["", "the graph's own"]], on.settings);
    this.smoothing = choice("Smoothing", SMOOTHINGS, on.settings);
    this.backChoice = choice("What comes back", BACK, () => {
      on.settings();
      on.way();
    });
    this.wayChoice = choice("Way in", WAYS, on.way);
    this.sizeChoice = choice("Size", SIZES, on.size);
    this.mirror = element("input", { type: "checkbox", checked: true, onchange: on.mirror });
    const choices = [this.model, this.classifier, this.smoothing, this.backChoice, this.wayChoice, this.sizeChoice];
    this.elements = [
      ...choices.map(({ label }) => label), element("label", { className: "check" }, this.mirror, "Mirror"),
    ];
  }

  get way() {
    return this.wayChoice.select.value;
  }

  /** Whether the server draws. */
  get video() {
    return this.backChoice.select.value === "video";
  }

  get size() {
    return this.sizeChoice.select.value.split("x").map(Number);
  }

  /** What the application is told. */
  get settings() {
    const smoothing = this.smoothing.select.value;
    return {
      model_name: this.model.select.value,
      classifier: this.classifier.select.value || null,
      smoothing: smoothing === "" ? null : Number(smoothing),
      video: this.video,
    };
  }

  /** Fill the choices with what the model server has. Throws an Error with one line. */
  async offer() {
    const [servables, classifiers] = await Promise.all([api("/api/servables"), api("/api/classifiers")]);
    const names = servables.map(({ name }) => name).filter((name) => /holistic|iris|passThrough/i.test(name));
    if (names.length) fill(this.model.select, names.map((name) => [name, name]));
    if (!this.offered && names.includes(GRAPH)) this.model.select.value = GRAPH;
    this.offered = true;
    fill(this.classifier.select, [["", "the graph's own"], ...classifiers.map(({ name }) => [name, name])]);
  }

  /** Landmarks of one person, drawn here, as teaching needs them. */
  forTeaching() {
    this.model.select.value = GRAPH;
    this.backChoice.select.value = "overlay";
  }
}
