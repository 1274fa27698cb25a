// The View part: a finished run, with its landmarks and labels over its video.
import { api, choice, element, fill } from "/dom.js";

export class ViewPart {
  constructor(section) {
    this.runs = choice("Run", [], () => this.play());
    this.problem = element("p", { className: "problem", role: "status" });
    this.frame = element("iframe", { title: "The run", className: "view", hidden: true });
    section.append(
      element("p", { textContent: "Runs that have ended and wrote landmarks (landmarks_output). The first look at a long video takes a while." }),
      element("div", { className: "controls" }, this.runs.label), this.problem, this.frame);
  }

  async show() {
    this.problem.textContent = "";
    try {
      const streams = await api("/api/streams");
      const over = streams.filter(({ state }) => ["ended", "stopped", "failed"].includes(state));
      fill(this.runs.select, [["", over.length ? "choose one" : "none yet"], ...over.map(({ id, name }) => [id, `${id} ${name}`])]);
    } catch (error) {
      this.problem.textContent = error.message;
    }
  }

  /** Its skeleton turns no longer. */
  hide() {
    this.frame.hidden = true;
    this.frame.removeAttribute("src");
    this.runs.select.value = "";
  }

  async play() {
    const id = this.runs.select.value;
    this.hide();
    this.problem.textContent = "";
    if (!id) return;
    this.runs.select.value = id;
    const address = `/api/streams/${encodeURIComponent(id)}/view`;
    const answer = await fetch(address).catch(() => null);
    if (answer?.ok) {
      this.frame.src = address;
      this.frame.hidden = false;
    } else {
      this.problem.textContent = (await answer?.json())?.detail ?? "the application does not answer: is it still running?";
    }
  }
}
