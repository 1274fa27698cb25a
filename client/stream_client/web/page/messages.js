// The messages of a live session; web/live/messages.py has the other half.

export const JPEG = 1, KEY = 2, DELTA = 3;
const HEAD = 16;

/** A frame: kind, number, capture time in milliseconds since 1970, and the encoded image in an Uint8Array. */
export function frameMessage(kind, number, captured, data) {
  const message = new Uint8Array(HEAD + data.byteLength);
  const view = new DataView(message.buffer);
  view.setUint8(0, kind);
  view.setUint32(4, number, true);
  view.setFloat64(8, captured, true);
  message.set(data, HEAD);
  return message;
}

/** A result. `persons[i].parts` are Float32Arrays: x, y and visibility of each point. `jpeg` is a Blob or null; `video`:
 * what the server drew comes by the video track. */
export function parseResult(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const result = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  let place = 4 + Math.ceil(length / 4) * 4;
  if (result.jpeg) {
    result.jpeg = new Blob([new Uint8Array(buffer, place)], { type: "image/jpeg" });
    return result;
  }
  result.jpeg = null;
  for (const person of result.persons) {
    for (const [name, points] of Object.entries(person.parts)) {
      person.parts[name] = new Float32Array(buffer, place, 3 * points);
      place += 12 * points;
    }
  }
  return result;
}
