// The Fleet part: the streams of a fleet on this machine, which runs in a process of its own.
import { api, element, facts, post, scored } from "/dom.js";
import { SettingsForm } from "/settings_form.js";

const EVERY = 1000;
const NOT_RUNNING = "No fleet runs with this file now. What you change holds when it starts: ovms-stream-client fleet.";

export class FleetPart {
  constructor(section) {
    this.cards = new Map();
    this.problem = element("p", { className: "problem", role: "status" });
    this.state = element("p");
    this.list = element("div", { className: "cards" });
    this.form = new SettingsForm("New stream of the fleet", "Add", async (values) => this.display(await post("/api/fleet", values)));
    this.known = element("div", { hidden: true }, this.state, this.list, this.form.element);
    section.append(this.problem, this.known);
  }

  show() {
    this.refresh();
    this.timer ??= setInterval(() => this.refresh(), EVERY);
  }

  hide() {
    clearInterval(this.timer);
    this.timer = null;
    for (const card of this.cards.values()) card.look(false);
  }

  async refresh() {
    try {
      this.display(await api("/api/fleet"));
      this.problem.textContent = "";
    } catch (error) {
      this.problem.textContent = error.message;
    }
    await Promise.all([...this.cards.values()].map((card) => card.fetchPicture()));
  }

  display({ runs, streams }) {
    this.known.hidden = false;
    this.state.textContent = runs ? "" : NOT_RUNNING;
    for (const [name, card] of this.cards) {
      if (streams.some((stream) => stream.name === name)) continue;
      card.look(false);
      card.element.remove();
      this.cards.delete(name);
    }
    for (const stream of streams) {
      if (!this.cards.has(stream.name)) {
        const card = new FleetCard(stream.name, (value) => this.display(value));
        this.cards.set(stream.name, card);
        this.list.append(card.element);
      }
      this.cards.get(stream.name).update(stream);
    }
  }
}

class FleetCard {
  /** `changed(fleet)` is called with the fleet after a change. */
  constructor(name, changed) {
    this.address = `/api/fleet/${encodeURIComponent(name)}`;
    this.changed = changed;
    this.title = element("h2");
    this.problem = element("p", { className: "problem", role: "status" });
    this.facts = element("dl");
    this.picture = element("img", { alt: `the newest frame of ${name}`, hidden: true });
    const act = (action, textContent) => element("button", { textContent, onclick: () => this.act(action) });
    this.pause = act("pause", "Pause");
    this.resume = act("resume", "Go on");
    this.remove = act("remove", "Remove");
    this.button = element("button", { textContent: "Look", onclick: () => this.look(!this.looking) });
    this.element = element("article", {}, this.title,
      element("div", { className: "controls" }, this.pause, this.resume, this.button, this.remove),
      this.problem, this.picture, this.facts);
    this.looking = false;
  }

  async act(action) {
    this.problem.textContent = "";
    try {
      this.changed(await post(`${this.address}/${action}`));
    } catch (error) {
      this.problem.textContent = error.message;
    }
  }

  update(stream) {
    this.title.textContent = `${stream.name}: ${stateOf(stream)}`;
    this.pause.hidden = stream.wanted !== "run";
    this.resume.hidden = stream.wanted === "run";
    this.remove.hidden = stream.wanted === "removed";
    this.facts.replaceChildren(...facts(factsOf(stream)));
  }

  /** Ask for its newest frame each second from now on, or no longer. */
  look(yes) {
    this.looking = yes;
    this.button.textContent = yes ? "Look no longer" : "Look";
    if (yes) this.fetchPicture();
    else this.setPicture(null);
  }

  async fetchPicture() {
    if (!this.looking) return;
    const answer = await fetch(`${this.address}/frame.jpg`).catch(() => null);
    const picture = answer?.ok ? await answer.blob() : null;
    if (this.looking && (picture || answer?.status !== 404)) this.setPicture(picture);
  }

  setPicture(blob) {
    if (this.picture.src) URL.revokeObjectURL(this.picture.src);
    if (blob) this.picture.src = URL.createObjectURL(blob);
    else this.picture.removeAttribute("src");
    this.picture.hidden = blob === null;
  }
}

/** What the stream does, or what is wanted of it where no fleet runs it. */
function stateOf({ state, wanted }) {
  if (wanted === "removed") return "removed";
  return state || (wanted === "paused" ? "paused" : "not running");
}

function factsOf({ state, problem, label, delivered, dropped, failed, rate, latency_ms: latency, restarts }) {
  const rows = {};
  if (problem) rows.Problem = problem;
  if (!state) return rows;
  if (label) rows.Label = scored(label);
  rows.Frames = `${delivered} delivered, ${dropped} dropped, ${failed} failed`;
  rows.Rate = `${rate.toFixed(1)} frames/s`;
  if (latency !== null) rows.Latency = `${latency.toFixed(0)} ms`;
  if (restarts) rows.Restarts = restarts;
  return rows;
}
