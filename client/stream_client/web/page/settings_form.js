// A form of a run's settings, made from their JSON Schema.
import { api, element, upload } from "/dom.js";

const FIRST = ["name", "input_stream", "output_stream", "model_name", "labels_output", "landmarks_output"];

export class SettingsForm {
  /** `submit(values)` is awaited with what the user gave; its Error is shown. */
  constructor(title, button, submit) {
    this.submit = submit;
    this.problem = element("p", { className: "problem", role: "status" });
    this.fields = element("div");
    this.file = element("input", { type: "file", accept: "video/*", onchange: () => this.take(this.file.files[0]) });
    this.element = element("form", { onsubmit: (event) => this.send(event) },
      element("h2", { textContent: title }), this.fields,
      element("div", { className: "controls" }, element("button", { className: "main", textContent: button }),
        element("label", {}, "or read a file of yours", this.file)),
      this.problem);
    this.build();
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
    this.fields.append(first, ...rest);
  }

  /** Upload a file, and name it as the input. */
  async take(file) {
    if (!file) return;
    this.problem.textContent = `${file.name} is uploaded …`;
    try {
      const { input_stream: name } = await upload(file);
      this.fields.querySelector("[name=input_stream]").value = name;
      this.problem.textContent = "";
    } catch (error) {
      this.problem.textContent = error.message;
    }
  }

  /** Write a rule of events into its field, after those that are there. */
  addRule(text) {
    const field = this.fields.querySelector("textarea[name=events]");
    const before = field.value.trim();
    if (before && !before.includes("[[rule]]")) throw new Error("events names a file: empty it, or write its rules there");
    field.value = `${before}${before ? "\n\n" : ""}${text}`;
    field.closest("details").open = true;
    field.focus();
  }

  async send(event) {
    event.preventDefault();
    this.problem.textContent = "";
    const values = {};
    for (const field of this.fields.querySelectorAll("[name]")) {
      const value = read(field);
      if (value !== null) values[field.name] = value;
    }
    try {
      await this.submit(values);
    } catch (error) {
      this.problem.textContent = error.message;
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
  } else if (field.lines) {
    input = element("textarea", { rows: 4, placeholder: field.placeholder ?? "" });
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
  if (field.tagName === "TEXTAREA") return [text];
  if (field.dataset.kind === "list") return text.split(",").map((part) => part.trim()).filter(Boolean);
  if (field.dataset.kind === "boolean") return text === "true";
  if (["number", "integer"].includes(field.dataset.kind) && Number.isFinite(Number(text))) return Number(text);
  return text;
}
