// Exchanges the token in the URL's fragment for a cookie, then shows the part that the fragment names.
import { api } from "/dom.js";
import { LivePart } from "/live.js";
import { logIn } from "/login.js";
import { StreamsPart } from "/streams.js";

const PARTS = { live: LivePart, streams: StreamsPart };
const message = document.getElementById("message");
const open = new Map();

function show() {
  const name = location.hash.slice(1) in PARTS ? location.hash.slice(1) : "live";
  for (const [other, part] of open) if (other !== name) part.hide();
  for (const section of document.querySelectorAll("main > section")) section.hidden = section.id !== name;
  for (const link of document.querySelectorAll("#tabs a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (!open.has(name)) open.set(name, new PARTS[name](document.getElementById(name)));
  open.get(name).show();
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
