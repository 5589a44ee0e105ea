/** Who we are to the local room: the one-time code of the printed link becomes a cookie the page cannot read. */

/** @typedef {{room: string, name: string}} Session */

/**
 * Takes the code out of the address, so that it does not stay in the history.
 * @returns {string | null}
 */
export function takeCode() {
  const code = new URLSearchParams(location.hash.slice(1)).get("code");
  if (location.hash) history.replaceState(null, "", location.pathname + location.search);
  return code;
}

/**
 * The session, or null when there is none. Throws when the server cannot be reached.
 * @param {string | null} code
 * @returns {Promise<Session | null>}
 */
export async function openSession(code) {
  if (code !== null) {
    const exchanged = await ask("POST", { code });
    if (exchanged) return exchanged;
  }
  return ask("GET");
}

/** Whether the cookie still counts; null when the server cannot be asked. */
export async function signedIn() {
  try {
    return (await ask("GET")) !== null;
  } catch {
    return null;
  }
}

/**
 * @param {"GET" | "POST"} method
 * @param {object} [body]
 * @returns {Promise<Session | null>}
 */
async function ask(method, body) {
  const answer = await fetch("/session", {
    method,
    credentials: "same-origin",
    cache: "no-store",
    ...(body && { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }),
  });
  if (answer.ok) return answer.json();
  if (answer.status >= 400 && answer.status < 500) return null;
  throw new Error(`the room server answered ${answer.status}`);
}
