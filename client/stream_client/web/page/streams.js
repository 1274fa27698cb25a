// The Streams part: what the application's own machine reads. A form of every setting, and a card for each stream.
import { api, element, facts, post, scored } from "/dom.js";
import { SettingsForm } from "/settings_form.js";
import { ZoneEditor } from "/zones.js";

export class StreamsPart {
  constructor(section) {
    this.cards = new Map();
    this.problem = element("p", { className: "problem", role: "status" });
    this.form = new SettingsForm("New stream", "Start", async (values) => {
      await post("/api/streams", values);
      await this.refresh();
    });
    this.list = element("div");
    section.append(this.form.element, this.problem, this.list);
  }

  show() {
    this.refresh();
    this.timer ??= setInterval(() => this.refresh(), 1000);
  }

  hide() {
    clearInterval(this.timer);
    this.timer = null;
    for (const card of this.cards.values()) card.look(false);
  }

  async refresh() {
    let streams;
    try {
      streams = await api("/api/streams");
    } catch (error) {
      this.problem.textContent = error.message;
      return;
    }
    for (const [id, card] of this.cards) {
      if (!streams.some((stream) => stream.id === id)) {
        card.element.remove();
        this.cards.delete(id);
      }
    }
    for (const stream of streams) {
      if (!this.cards.has(stream.id)) {
        const card = new StreamCard(stream.id, (text) => (this.problem.textContent = text), (rule) => this.form.addRule(rule));
        this.cards.set(stream.id, card);
        this.list.prepend(card.element);
      }
      this.cards.get(stream.id).refresh();
    }
  }
}

class StreamCard {
  /** `problem(text)` shows what went wrong, `rule(text)` takes a rule of events that was drawn. */
  constructor(id, problem, rule) {
    this.id = id;
    this.problem = problem;
    this.title = element("h2");
    this.facts = element("dl");
    this.picture = element("img", { alt: "the newest frame", hidden: true });
    this.zones = new ZoneEditor(rule);
    this.log = element("pre");
    this.results = element("p");
    const act = (name, textContent) => element("button", { textContent, onclick: () => this.act(name) });
    this.element = element("article", {}, this.title,
      element("div", { className: "controls" }, act("pause", "Pause"), act("resume", "Go on"), act("stop", "Stop"),
        act("restart", "Start again"),
        element("button", { textContent: "Look", onclick: () => this.look(this.picture.hidden) }),
        element("button", { textContent: "Draw a zone", onclick: () => this.draw() }),
        element("button", { textContent: "Remove", onclick: () => this.remove() })),
      element("div", { className: "picture" }, this.picture, this.zones.surface), this.zones.element, this.facts, this.results,
      element("details", {}, element("summary", { textContent: "Log" }), this.log));
  }

  async act(name) {
    try {
      await post(`/api/streams/${this.id}/${name}`);
      await this.refresh();
    } catch (error) {
      this.problem(error.message);
    }
  }

  async remove() {
    try {
      await api(`/api/streams/${this.id}`, { method: "DELETE" });
      this.look(false);
    } catch (error) {
      this.problem(error.message);
    }
  }

  /** Show its frames, or no longer: an image without an address ends the connection. */
  look(yes) {
    if (yes) this.picture.src = `/api/streams/${this.id}/mjpeg`;
    else this.picture.removeAttribute("src");
    this.picture.hidden = !yes;
    if (!yes) this.zones.show(false);
  }

  /** Draw a zone or a line on its picture, or no longer. */
  draw() {
    const begin = this.zones.element.hidden;
    if (begin && this.picture.hidden) this.look(true);
    this.zones.show(begin);
  }

  async refresh() {
    let stream;
    try {
      stream = await api(`/api/streams/${this.id}`);
    } catch {
      return; // it has just been removed
    }
    this.title.textContent = `${stream.name}: ${stream.state}`;
    this.facts.replaceChildren(...facts(factsOf(stream)));
    this.log.textContent = stream.log.map(({ text }) => text).join("\n");
    this.results.replaceChildren(
      ...stream.results.flatMap(({ name }) => {
        const href = `/api/streams/${this.id}/results/${encodeURIComponent(name)}`;
        return [element("a", { href, textContent: name }), " "];
      }),
    );
  }
}

function factsOf({ problem, label, ledger, latency, frame_rate: rate, verdict, source, tracks, events }) {
  const sum = (counts) => Object.values(counts).reduce((total, count) => total + count, 0);
  const rows = {};
  if (problem) rows.Problem = problem;
  if (source) rows.Source = `${source.width} x ${source.height}${source.live ? ", live" : ""}`;
  if (label) rows.Label = scored(label);
  if (tracks.length) rows.Tracks = tracks.map(followed).join(", ");
  rows.Frames = `${ledger.delivered} delivered, ${sum(ledger.dropped)} dropped, ${sum(ledger.failed)} failed`;
  rows.Rate = `${rate.toFixed(1)} frames/s`;
  if (latency.p50 !== null) rows.Latency = `${latency.p50.toFixed(0)} ms, p95 ${latency.p95.toFixed(0)} ms`;
  const found = Object.entries(events);
  if (found.length) rows.Events = found.map(([rule, count]) => `${rule}: ${count}`).join(", ");
  if (verdict) rows.Verdict = verdict.sentence;
  return rows;
}

/** A track with its label, as `#2 squat 97 %, 5 times`. */
function followed({ track, name, score, repetitions }) {
  const label = name === null ? "" : ` ${scored({ name, score })}`;
  return `#${track}${label}${repetitions === null ? "" : `, ${repetitions} times`}`;
}
