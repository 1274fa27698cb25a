// Small helpers for elements. Text is always set as text, never as HTML.

/** An element with properties (or attributes with "-"), listeners ("on…") and children. */
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key.includes("-") || key === "for") made.setAttribute(key, value);
    else made[key] = value;
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** The rows of a list of facts (`dl`): name and value of each. */
export function facts(rows) {
  return Object.entries(rows).flatMap(([name, value]) => [
    element("dt", { textContent: name }), element("dd", { textContent: value }),
  ]);
}

/** A label with its score in percent. */
export function scored({ name, score }) {
  return `${name} ${Math.round(100 * score)} %`;
}

/** A labeled choice. `options` are [value, text] pairs. */
export function choice(text, options, onchange) {
  const select = element("select", { onchange });
  fill(select, options);
  return { select, label: element("label", {}, text, select) };
}

/** Other options for a choice; the value stays where it can. */
export function fill(select, options) {
  const before = select.value;
  select.replaceChildren(...options.map(([value, text]) => element("option", { value, textContent: text })));
  if (options.some(([value]) => value === before)) select.value = before;
}

/** An answer of the API as JSON. Throws an Error with the reason in one line. */
export async function api(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error("the application does not answer: is it still running?");
  }
  const value = answer.status === 204 ? null : await answer.json().catch(() => null);
  if (answer.ok) return value;
  const detail = value?.detail;
  const first = Array.isArray(detail) ? `${detail[0].loc.at(-1)}: ${detail[0].msg}` : detail;
  throw new Error(first ?? `the application answers ${answer.status}`);
}

/** Upload a video file. Its `input_stream` names it in the settings of a stream. */
export function upload(file) {
  const body = new FormData();
  body.append("file", file);
  return api("/api/uploads", { method: "POST", body });
}

/** POST a value as JSON. */
export function post(path, value) {
  return api(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(value ?? {}),
  });
}
