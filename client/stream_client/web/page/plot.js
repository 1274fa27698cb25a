// A plot of latencies, newest on the right: the whole from camera to canvas, and the part of it in the model's pipeline.

const KEPT = 300;

export class LatencyPlot {
  constructor(canvas) {
    this.canvas = canvas;
    this.samples = [];
  }

  /** Milliseconds from camera to canvas, and in the pipeline. */
  add(total, pipeline) {
    this.samples.push([total, pipeline]);
    if (this.samples.length > KEPT) this.samples.shift();
  }

  /** The share `part`, 0…1, of the last samples that are below. */
  quantile(part) {
    const sorted = this.samples.map(([total]) => total).sort((a, b) => a - b);
    return sorted.length ? sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] : NaN;
  }

  draw() {
    const { canvas, samples } = this;
    const scale = devicePixelRatio;
    const [width, height] = [canvas.clientWidth * scale, canvas.clientHeight * scale];
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, width, height);
    const most = Math.max(50, ...samples.map(([total]) => total)) * 1.1;
    for (const [which, color] of [[0, "#d55e00"], [1, "#0a7c9c"]]) {
      context.beginPath();
      samples.forEach((sample, index) => {
        const x = width - ((samples.length - index) * width) / KEPT;
        const y = height - (sample[which] / most) * height;
        if (index) context.lineTo(x, y);
        else context.moveTo(x, y);
      });
      context.strokeStyle = color;
      context.lineWidth = 1.5 * scale;
      context.stroke();
    }
    context.fillStyle = "#888";
    context.font = `${11 * scale}px system-ui, sans-serif`;
    context.fillText(`${Math.round(most)} ms: camera to page, and pipeline`, 4 * scale, 13 * scale);
  }
}
