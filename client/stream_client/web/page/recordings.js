// The Recordings part: labels and events of recorded streams, and the moment in the video.
import { api, element } from "/dom.js";

const FIELDS = {
  label: ["Label", ""], event: ["Event", "rule"], stream: ["Stream", "all"],
  since: ["Since", "2h, 7d, 2026-03-03 14:20"], until: ["Until", "now"],
};

export class RecordingsPart {
  constructor(section) {
    this.inputs = Object.entries(FIELDS).map(([name, [text, placeholder]]) => {
      const input = element("input", { name, placeholder });
      return element("label", {}, text, input);
    });
    this.problem = element("p", { className: "problem", role: "status" });
    this.video = element("video", { controls: true, hidden: true, onerror: () => this.failed() });
    this.caption = element("p");
    this.rows = element("tbody");
    this.table = element("table", { hidden: true },
      element("thead", {}, element("tr", {}, ...["Time", "Seconds", "Stream", "What", "File", ""].map((textContent) =>
        element("th", { textContent })))), this.rows);
    this.form = element("form", { className: "controls", onsubmit: (event) => this.find(event) }, ...this.inputs,
      element("button", { className: "main", textContent: "Find" }));
    section.append(
      element("p", { textContent: "What was recorded in segments, by label, event or time; without a label and an event: the files." }),
      this.form, this.problem, this.video, this.caption, this.table);
  }

  show() {}

  /** A video that nobody sees does not play on. */
  hide() {
    this.video.pause();
  }

  async find(event) {
    event.preventDefault();
    this.problem.textContent = "";
    const given = [...new FormData(this.form)].filter(([, value]) => value.trim());
    try {
      const found = await api(`/api/recordings/find?${new URLSearchParams(given)}`);
      this.problem.textContent = found.length ? "" : "Nothing was found.";
      this.table.hidden = !found.length;
      this.rows.replaceChildren(...found.reverse().map((each) => this.row(each)));
    } catch (error) {
      this.problem.textContent = error.message;
    }
  }

  row(found) {
    const { begin, seconds, stream, kind, name, file, complete } = found;
    const cells = [
      new Date(begin).toLocaleString(), seconds === null ? "" : seconds.toFixed(1), stream, kind === "file" ? "" : name,
      (file ?? "not recorded") + (complete ? "" : " (being written)"),
    ];
    const play = file && element("button", { textContent: "Play", onclick: () => this.play(found) });
    return element("tr", {}, ...cells.map((textContent) => element("td", { textContent })), element("td", {}, play));
  }

  play({ file, offset, name, begin }) {
    this.problem.textContent = "";
    this.caption.textContent = `${name}, ${new Date(begin).toLocaleString()}`;
    this.video.hidden = false;
    this.video.src = `/api/recordings/file?name=${encodeURIComponent(file)}#t=${offset}`;
    this.video.play().catch(() => {}); // what is wrong with the file is told by its own event
  }

  failed() {
    this.problem.textContent = "This browser cannot play the file.";
  }
}
