// Exchanges the token in the URL's fragment for a cookie, then shows the part that the fragment names.
import { api } from "/dom.js";
import { FleetPart } from "/fleet.js";
import { LivePart } from "/live.js";
import { logIn } from "/login.js";
import { RecordingsPart } from "/recordings.js";
import { StreamsPart } from "/streams.js";
import { TeachPart } from "/teach.js";
import { ViewPart } from "/view.js";

const PARTS = {
  live: LivePart, teach: TeachPart, streams: StreamsPart, fleet: FleetPart, view: ViewPart, recordings: RecordingsPart,
};
const message = document.getElementById("message");
const open = new Map();

function show() {
  const name = location.hash.slice(1) in PARTS ? location.hash.slice(1) : "live";
  for (const [other, shown] of open) if (other !== name) shown.hide(name);
  for (const section of document.querySelectorAll("main > section")) section.hidden = section.id !== name;
  for (const link of document.querySelectorAll("#tabs a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  part(name).show();
}

/** A part, made when it is first needed. The classes are taught with the camera of the Live part. */
function part(name) {
  if (!open.has(name)) {
    const camera = name === "teach" ? part("live") : undefined;
    open.set(name, new PARTS[name](document.getElementById(name), camera));
  }
  return open.get(name);
}

async function watchHealth() {
  try {
    const health = await api("/api/health");
    message.textContent = health.problem ?? "";
  } catch (error) {
    message.textContent = error.message;
  }
  setTimeout(watchHealth, 3000);
}

const problem = await logIn();
if (problem) {
  message.textContent = problem;
} else {
  addEventListener("hashchange", show);
  show();
  watchHealth();
}
