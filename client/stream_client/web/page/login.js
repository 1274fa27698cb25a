// The token of the URL's fragment becomes a cookie. A fragment is never sent to a server, nor to another site.

/** Log in if the URL has a token. Returns what is wrong in one line, or "". */
export async function logIn() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token === null) return "";
  history.replaceState(null, "", location.pathname + location.search);
  const answer = await fetch("/api/session", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ token }),
  });
  return answer.ok ? "" : (await answer.json()).detail;
}
