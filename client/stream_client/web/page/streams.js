// The Streams part: what the application's own machine reads. A form of every setting, and a card for each stream.
import { api, element, post } from "/dom.js";

const FIRST = ["name", "input_stream", "output_stream", "model_name", "labels_output", "landmarks_output"];

export class StreamsPart {
  constructor(section) {
    this.cards = new Map();
    this.problem = element("p", { className: "problem", role: "status" });
    this.form = element("form", { onsubmit: (event) => this.create(event) });
    this.list = element("div");
    section.append(this.form, this.problem, this.list);
    this.build();
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

  async build() {
    let schema;
    try {
      schema = await api("/api/streams/form");
    } catch (error) {
      this.problem.textContent = error.message;
      return;
    }
    const groups = new Map();
    for (const [name, field] of Object.entries(schema.properties)) {
      const group = FIRST.includes(name) ? "" : (field.group ?? "run");
      if (!groups.has(group)) groups.set(group, []);
      groups.get(group).push(setting(name, field));
    }
    const first = element("div", { className: "settings" }, ...(groups.get("") ?? []));
    groups.delete("");
    const rest = [...groups].map(([group, fields]) =>
      element("details", {}, element("summary", { textContent: group }),
        element("div", { className: "settings" }, ...fields)));
    this.form.append(element("h2", { textContent: "New stream" }), first, ...rest,
      element("div", { className: "controls" }, element("button", { className: "main", textContent: "Start" })));
  }

  async create(event) {
    event.preventDefault();
    this.problem.textContent = "";
    const values = {};
    for (const field of this.form.querySelectorAll("[name]")) {
      const value = read(field);
      if (value !== null) values[field.name] = value;
    }
    try {
      await post("/api/streams", values);
      await this.refresh();
    } catch (error) {
      this.problem.textContent = error.message;
    }
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
        const card = new StreamCard(stream.id, (text) => (this.problem.textContent = text));
        this.cards.set(stream.id, card);
        this.list.prepend(card.element);
      }
      this.cards.get(stream.id).refresh();
    }
  }
}

/** A field of the form, from its JSON Schema. */
function setting(name, field) {
  const kinds = field.anyOf ?? [field];
  const choices = kinds.flatMap((kind) => kind.enum ?? (kind.const ? [kind.const] : []));
  const types = kinds.map((kind) => kind.type);
  let input;
  if (types.includes("boolean")) {
    input = element("select", {}, ...[["", "as usual"], ["true", "yes"], ["false", "no"]].map(([value, textContent]) =>
      element("option", { value, textContent })));
  } else if (choices.length && !types.includes("number") && !types.includes("integer")) {
    input = element("select", {}, ...["", ...choices].map((value) =>
      element("option", { value, textContent: value || "as usual" })));
  } else {
    input = element("input", { placeholder: field.otherwise ?? field.shown_default ?? "" });
  }
  input.name = name;
  input.dataset.kind = types.includes("array") ? "list" : types.find((type) => type !== "null") ?? "string";
  input.title = field.description ?? "";
  return element("label", {}, `${name}${field.unit ? ` (${field.unit})` : ""}`, input);
}

/** What the user gave; null for nothing. A list is given with commas. */
function read(field) {
  const text = field.value.trim();
  if (!text) return null;
  if (field.dataset.kind === "list") return text.split(",").map((part) => part.trim()).filter(Boolean);
  if (field.dataset.kind === "boolean") return text === "true";
  if (["number", "integer"].includes(field.dataset.kind) && Number.isFinite(Number(text))) return Number(text);
  return text;
}

class StreamCard {
  constructor(id, problem) {
    this.id = id;
    this.problem = problem;
    this.title = element("h2");
    this.facts = element("dl");
    this.picture = element("img", { alt: "the newest frame", hidden: true });
    this.log = element("pre");
    this.results = element("p");
    const act = (name, textContent) => element("button", { textContent, onclick: () => this.act(name) });
    this.element = element("article", {}, this.title,
      element("div", { className: "controls" }, act("pause", "Pause"), act("resume", "Go on"), act("stop", "Stop"),
        act("restart", "Start again"),
        element("button", { textContent: "Look", onclick: () => this.look(this.picture.hidden) }),
        element("button", { textContent: "Remove", onclick: () => this.remove() })),
      this.picture, this.facts, this.results,
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
  }

  async refresh() {
    let stream;
    try {
      stream = await api(`/api/streams/${this.id}`);
    } catch {
      return; // it has just been removed
    }
    this.title.textContent = `${stream.name}: ${stream.state}`;
    this.facts.replaceChildren(
      ...Object.entries(factsOf(stream)).flatMap(([name, value]) => [
        element("dt", { textContent: name }), element("dd", { textContent: value }),
      ]),
    );
    this.log.textContent = stream.log.map(({ text }) => text).join("\n");
    this.results.replaceChildren(
      ...stream.results.flatMap(({ name }) => {
        const href = `/api/streams/${this.id}/results/${encodeURIComponent(name)}`;
        return [element("a", { href, textContent: name }), " "];
      }),
    );
  }
}

function factsOf({ problem, label, ledger, latency, frame_rate: rate, verdict, source }) {
  const sum = (counts) => Object.values(counts).reduce((total, count) => total + count, 0);
  const facts = {};
  if (problem) facts.Problem = problem;
  if (source) facts.Source = `${source.width} x ${source.height}${source.live ? ", live" : ""}`;
  if (label) facts.Label = `${label.name} ${Math.round(100 * label.score)} %`;
  facts.Frames = `${ledger.delivered} delivered, ${sum(ledger.dropped)} dropped, ${sum(ledger.failed)} failed`;
  facts.Rate = `${rate.toFixed(1)} frames/s`;
  if (latency.p50 !== null) facts.Latency = `${latency.p50.toFixed(0)} ms, p95 ${latency.p95.toFixed(0)} ms`;
  if (verdict) facts.Verdict = verdict.sentence;
  return facts;
}
