// Landmarks on the canvas, in MediaPipe's colors. The connections are those of the server's drawing.

const WHITE = "#ffffff", ORANGE = "#ff8a00", CYAN = "#00d9e7";
const POSE = [
  [11, 12], [11, 13, 15], [12, 14, 16], [11, 23], [12, 24], [23, 24],
  [23, 25, 27], [24, 26, 28], [27, 29, 31, 27], [28, 30, 32, 28],
];
const HAND = [
  [0, 1, 2, 3, 4], [0, 5, 6, 7, 8], [5, 9, 10, 11, 12], [9, 13, 14, 15, 16], [13, 17], [0, 17, 18, 19, 20],
];
const FACE = [
  [61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291],
  [61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291],
  [33, 7, 163, 144, 145, 153, 154, 155, 133],
  [33, 246, 161, 160, 159, 158, 157, 173, 133],
  [263, 249, 390, 373, 374, 380, 381, 382, 362],
  [263, 466, 388, 387, 386, 385, 384, 398, 362],
  [10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152,
    148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109, 10],
];
const VISIBLE = 0.5;

/** Draw the persons of a result on a canvas that shows their frame. `mirrored`: the canvas is shown in a mirror. */
export function drawPersons(context, persons, mirrored) {
  const line = Math.max(2, Math.round(context.canvas.width / 320));
  for (const { person, label, parts } of persons) {
    const draw = (points, chains, color, width) => drawPart(context, points, chains, color, width);
    if (parts.pose) draw(parts.pose, POSE, WHITE, line);
    if (parts.face) draw(parts.face, FACE, CYAN, Math.max(1, line / 2));
    if (parts.left_hand) draw(parts.left_hand, HAND, ORANGE, line);
    if (parts.right_hand) draw(parts.right_hand, HAND, CYAN, line);
    if (person && parts.pose) drawName(context, parts.pose, person, label, mirrored);
  }
}

function drawPart(context, points, chains, color, width) {
  const { width: w, height: h } = context.canvas;
  const shown = (point) => points[3 * point + 2] >= VISIBLE;
  context.strokeStyle = color;
  context.fillStyle = color;
  context.lineWidth = width;
  context.beginPath();
  for (const chain of chains) {
    let drawing = false;
    for (const point of chain) {
      const [x, y] = [points[3 * point] * w, points[3 * point + 1] * h];
      if (!shown(point)) drawing = false;
      else if (drawing) context.lineTo(x, y);
      else {
        context.moveTo(x, y);
        drawing = true;
      }
    }
  }
  context.stroke();
  context.beginPath();
  for (const point of new Set(chains.flat())) {
    if (!shown(point)) continue;
    const [x, y] = [points[3 * point] * w, points[3 * point + 1] * h];
    context.moveTo(x + width, y);
    context.arc(x, y, width, 0, 7);
  }
  context.fill();
}

function drawName(context, pose, person, label, mirrored) {
  const { width: w, height: h } = context.canvas;
  const text = `#${person}${label ? ` ${label[0]} ${Math.round(100 * label[1])} %` : ""}`;
  const [x, y] = [pose[0] * w, Math.max(24, (pose[1] - 0.12) * h)];
  context.save();
  context.translate(x, y);
  if (mirrored) context.scale(-1, 1);
  context.font = `${Math.round(h / 24)}px system-ui, sans-serif`;
  context.textAlign = "center";
  context.lineWidth = 4;
  context.strokeStyle = "#000c";
  context.strokeText(text, 0, 0);
  context.fillStyle = WHITE;
  context.fillText(text, 0, 0);
  context.restore();
}
