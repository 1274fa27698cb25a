// Draws a zone or a line on a stream's picture, by mouse, touch or keyboard, and says it as a rule of events in TOML.
import { choice, element } from "/dom.js";

const SVG = "http://www.w3.org/2000/svg";
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const STEP = 0.02, FINE = 0.002;
const KINDS = { zone: { fewest: 3, most: 50 }, line: { fewest: 2, most: 2 } };
const HELP = "Click on the picture to set points. Or go there with Tab: arrows move the cross (with Shift: by little), "
  + "Enter sets a point, Backspace takes the last one back.";

export class ZoneEditor {
  /** `take(text)` gets a rule; its Error is shown. Put `surface` over the picture, `element` below it. */
  constructor(take) {
    this.take = take;
    this.points = []; // fractions of the frame's width and height
    this.cross = [0.5, 0.5];
    this.shape = drawing("path", "shape");
    this.dots = drawing("path", "dots");
    this.cursor = drawing("path", "cursor");
    this.surface = drawing("svg", "zones");
    for (const [name, value] of Object.entries({
      viewBox: "0 0 1 1", preserveAspectRatio: "none", tabindex: 0, role: "application", "aria-label": `Points. ${HELP}`,
    })) this.surface.setAttribute(name, value);
    this.surface.append(this.shape, this.dots, this.cursor);
    this.surface.addEventListener("click", (event) => this.click(event));
    this.surface.addEventListener("keydown", (event) => this.key(event));
    this.kind = choice("Draw", [["zone", "a zone"], ["line", "a line"]], () => this.clear());
    this.name = element("input", { maxLength: 64, oninput: () => this.draw() });
    this.use = element("button", { className: "main", textContent: "Use as a rule", onclick: () => this.finish() });
    this.state = element("p", { role: "status" });
    this.element = element("div", { hidden: true },
      element("p", { textContent: HELP }),
      element("div", { className: "controls" }, this.kind.label, element("label", {}, "Name", this.name),
        element("button", { textContent: "Take back", onclick: () => this.back() }),
        element("button", { textContent: "Clear", onclick: () => this.clear() }), this.use),
      this.state);
    this.show(false);
  }

  show(yes) {
    this.element.hidden = !yes;
    this.surface.toggleAttribute("hidden", !yes);
    this.clear();
  }

  click(event) {
    const { left, top, width, height } = this.surface.getBoundingClientRect();
    this.cross = [(event.clientX - left) / width, (event.clientY - top) / height].map(inside);
    this.add();
  }

  key(event) {
    const move = KEYS[event.key];
    if (move) this.cross = this.cross.map((at, axis) => inside(at + move[axis] * (event.shiftKey ? FINE : STEP)));
    else if (event.key === "Enter" || event.key === " ") this.add();
    else if (event.key === "Backspace") this.back();
    else return;
    event.preventDefault();
    this.draw();
  }

  /** A point where the cross is. A line that has its two keeps the first. */
  add() {
    if (this.points.length === KINDS[this.kind.select.value].most) this.points.pop();
    if (String(this.points.at(-1)) !== String(this.cross)) this.points.push(this.cross);
    this.draw();
  }

  back() {
    this.points.pop();
    this.draw();
  }

  clear() {
    this.points = [];
    this.draw();
  }

  draw() {
    const kind = this.kind.select.value, [x, y] = this.cross, count = this.points.length;
    const way = this.points.map((point) => point.join(" ")).join("L");
    this.shape.setAttribute("d", count ? `M${way}${kind === "zone" ? "Z" : ""}` : "");
    this.dots.setAttribute("d", this.points.map(([left, top]) => `M${left} ${top}h0`).join(""));
    this.cursor.setAttribute("d", `M${x - 0.02} ${y}h0.04M${x} ${y - 0.02}v0.04`);
    const missing = KINDS[kind].fewest - count, named = this.name.value.trim() !== "";
    this.use.disabled = missing > 0 || !named;
    this.state.textContent = `${count} points; the cross is at ${Math.round(100 * x)} %, ${Math.round(100 * y)} %. `
      + (missing > 0 ? `${missing} more to go.` : named ? "" : "Give it a name.");
  }

  finish() {
    const kind = this.kind.select.value;
    const points = this.points.map((point) => `[${point.map((at) => +at.toFixed(3)).join(", ")}]`).join(", ");
    try {
      // What JSON writes as a text is one in TOML, too.
      this.take(`[[rule]]\nname = ${JSON.stringify(this.name.value.trim())}\n${kind} = [${points}]\n`);
    } catch (error) {
      this.state.textContent = error.message;
      return;
    }
    this.name.value = "";
    this.clear();
  }
}

function drawing(name, className) {
  const made = document.createElementNS(SVG, name);
  made.setAttribute("class", className);
  return made;
}

function inside(at) {
  return Math.min(1, Math.max(0, at));
}
