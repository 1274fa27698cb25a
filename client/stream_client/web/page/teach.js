// The Teach part: name a class, hold the button, move. Then train, and the classifier labels the live picture.
import { api, element, post, upload } from "/dom.js";

export class TeachPart {
  constructor(section, live) {
    this.live = live;
    this.section = section;
    this.thumbnails = new Map();
    this.name = element("input", { value: "squat", maxLength: 40, ariaLabel: "Class" });
    this.hold = element("button", {
      className: "main",
      textContent: "Hold to record",
      onpointerdown: (event) => this.begin(event),
      onpointerup: () => this.end(),
      onpointercancel: () => this.end(),
    });
    this.file = element("input", { type: "file", accept: "video/*", onchange: () => this.take(this.file.files[0]) });
    this.problem = element("p", { className: "problem", role: "status" });
    this.reading = element("p");
    this.place = element("div");
    this.clips = element("div", { className: "clips" });
    this.classifier = element("input", { value: "mine", maxLength: 40 });
    this.window = element("input", { type: "number", value: 500, min: 0, max: 10000, step: 100 });
    this.button = element("button", { className: "main", textContent: "Train", onclick: () => this.train() });
    this.state = element("p");
    this.text = element("pre");
    section.append(
      element("p", { textContent: "Start the camera, name a class, and hold the button while you show it. Two classes are the fewest; a class wants some clips of a few seconds each. Frames stay in memory: landmarks alone are kept." }),
      element("div", { className: "controls" }, live.twin, element("label", {}, "Class", this.name), this.hold,
        element("label", {}, "or a video of it", this.file)),
      this.problem, this.reading,
      element("div", { className: "columns" }, this.place, this.clips),
      element("div", { className: "controls" },
        element("label", {}, "Classifier", this.classifier),
        element("label", { title: "0: single poses" }, "Window (ms)", this.window), this.button),
      this.state, this.text,
    );
    live.section.addEventListener("recorded", ({ detail }) => this.recorded(detail));
  }

  show() {
    this.live.lend(this.place);
    this.refresh();
    this.timer ??= setInterval(() => this.refresh(), 1000);
  }

  hide() {
    this.live.takeBack();
    clearInterval(this.timer);
    this.timer = null;
  }

  begin(event) {
    if (!this.live.running) {
      this.problem.textContent = "start the camera first";
      return;
    }
    this.problem.textContent = "";
    event.target.setPointerCapture(event.pointerId);
    this.recording = true;
    this.picture = this.live.stage.snapshot();
    this.hold.textContent = "Recording …";
    this.live.record(this.name.value.trim());
  }

  end() {
    if (!this.recording) return;
    this.recording = false;
    this.hold.textContent = "Hold to record";
    this.live.record(null);
  }

  /** Make a clip of a video file. */
  async take(file) {
    if (!file) return;
    this.problem.textContent = "";
    this.reading.textContent = `${file.name} is uploaded …`;
    try {
      const picture = firstPicture(file);
      const id = await this.sendClip(file);
      this.wasReading = true;
      this.thumbnails.set(id, await picture);
    } catch (error) {
      this.problem.textContent = error.message;
      this.reading.textContent = "";
    }
    this.file.value = "";
    this.refresh();
  }

  /** The id of the clip that the file becomes. A file that becomes none is not kept. */
  async sendClip(file) {
    const uploaded = await upload(file);
    try {
      return (await post("/api/teach/clips", { label: this.name.value.trim(), upload: uploaded.id })).id;
    } catch (error) {
      await api(`/api/uploads/${uploaded.id}`, { method: "DELETE" });
      throw error;
    }
  }

  recorded(clip) {
    if (clip === null) this.problem.textContent = "nobody was seen: step into the picture, and hold the button for longer";
    else this.thumbnails.set(clip.id, this.picture);
    this.refresh();
  }

  async train() {
    this.problem.textContent = "";
    try {
      await post("/api/teach/training", { name: this.classifier.value.trim(), window_ms: Number(this.window.value) });
      await this.refresh();
    } catch (error) {
      this.problem.textContent = error.message;
    }
  }

  async refresh() {
    let state;
    try {
      state = await api("/api/teach");
    } catch (error) {
      this.problem.textContent = error.message;
      return;
    }
    const key = state.clips.map(({ id }) => id).join();
    if (key !== this.shown) {
      this.shown = key;
      this.showClips(state.clips);
    }
    this.button.disabled = state.training === "running";
    if (this.wasReading && !state.reading && state.problem) this.problem.textContent = state.problem;
    if (state.reading || this.wasReading) this.reading.textContent = state.reading ? "Landmarks of the video are looked for …" : "";
    this.wasReading = state.reading;
    const links = state.training === "done" ? [link("/api/teach/model", "ONNX"), " ", link("/api/teach/report", "report")] : [];
    const said = { none: "", running: "Training …", done: `${state.classifier} is trained: `, failed: "The training failed:" };
    this.state.replaceChildren(said[state.training], ...links);
    this.text.textContent = state.text;
    if (this.training === "running" && state.training === "done") this.live.useClassifier(state.classifier);
    this.training = state.training;
    this.clips.title = `landmarks are kept in ${state.folder}`;
  }

  showClips(clips) {
    const classes = grouped(clips);
    this.clips.replaceChildren(
      ...[...classes].flatMap(([label, some]) => [
        element("h2", { textContent: `${label}: ${some.length} ${some.length === 1 ? "clip" : "clips"}` }),
        element("div", { className: "thumbnails" }, ...some.map((clip) => this.thumbnail(clip))),
      ]),
    );
  }

  thumbnail({ id, frames, total }) {
    const picture = this.thumbnails.get(id);
    return element("figure", {},
      picture ? element("img", { src: picture, alt: "" }) : null,
      element("figcaption", {}, `${frames} of ${total} frames `,
        element("button", { textContent: "Delete", onclick: () => this.remove(id) })));
  }

  async remove(id) {
    try {
      await api(`/api/teach/clips/${id}`, { method: "DELETE" });
    } catch (error) {
      this.problem.textContent = error.message;
    }
    this.refresh();
  }
}

/** The first picture of a video file, small; undefined where this browser cannot play it. */
async function firstPicture(file) {
  const video = element("video", { muted: true, src: URL.createObjectURL(file) });
  try {
    await new Promise((resolve, reject) => {
      video.onloadeddata = resolve;
      video.onerror = reject;
    });
    const canvas = element("canvas", { width: 160, height: Math.round((160 * video.videoHeight) / video.videoWidth) });
    canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
    return canvas.toDataURL("image/jpeg", 0.7);
  } catch {
    return undefined;
  } finally {
    URL.revokeObjectURL(video.src);
  }
}

function grouped(clips) {
  const classes = new Map();
  for (const clip of clips) classes.set(clip.label, [...(classes.get(clip.label) ?? []), clip]);
  return classes;
}

function link(href, textContent) {
  return element("a", { href, textContent });
}
