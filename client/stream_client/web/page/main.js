// Exchanges the token in the URL's fragment for a cookie, then shows how the application is.
import { logIn } from "/login.js";

const message = document.getElementById("message");
const problem = await logIn();
if (problem) {
  message.textContent = problem;
} else {
  const answer = await fetch("/api/health");
  const health = await answer.json();
  message.textContent = answer.ok ? `${health.status}${health.problem && `: ${health.problem}`}` : health.detail;
}
