// The picture of the Live part: a frame with what was found in it, or the server's drawing.
import { element, scored } from "/dom.js";
import { drawPersons } from "/overlay.js";

export class Stage {
  constructor() {
    this.canvas = element("canvas", { width: 640, height: 480 });
    this.context = this.canvas.getContext("2d", { alpha: false });
    this.label = element("div", { className: "label" });
    this.element = element("div", { className: "stage" }, this.canvas, this.label);
    this.drawn = 0;
    /** Show frames in a mirror. */
    this.mirrored = false;
  }

  /** A frame, and after `painted()` the persons and the label of its result. */
  drawOverlay(frame, result, painted) {
    this.canvas.classList.toggle("mirrored", this.mirrored);
    this.paint(frame, frame.displayWidth, frame.displayHeight);
    painted();
    drawPersons(this.context, result.persons, this.mirrored);
    const several = result.persons.some(({ person }) => person);
    const [name, score] = several ? [] : (result.label ?? []);
    this.label.textContent = name ? scored({ name, score }) : "";
  }

  /** A picture that the server drew: an ImageBitmap, or a video's present frame. It has text, so it is not mirrored. */
  drawPicture(picture, width, height) {
    this.canvas.classList.remove("mirrored");
    this.paint(picture, width, height);
    this.label.textContent = "";
  }

  /** The picture that is shown, small. */
  snapshot() {
    const small = element("canvas", { width: 160, height: Math.round((160 * this.canvas.height) / this.canvas.width) });
    small.getContext("2d").drawImage(this.canvas, 0, 0, small.width, small.height);
    return small.toDataURL("image/jpeg", 0.7);
  }

  paint(picture, width, height) {
    if (this.canvas.width !== width || this.canvas.height !== height) {
      [this.canvas.width, this.canvas.height] = [width, height];
    }
    this.context.drawImage(picture, 0, 0, width, height);
    this.drawn++;
  }
}
