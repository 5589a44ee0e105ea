/** The address names the open thread, so that reloading or sharing it opens it again. */

/** @returns {{thread: string | null, agent: string | null}} */
export function readAddress() {
  const query = new URLSearchParams(location.search);
  return { thread: query.get("thread") || null, agent: query.get("agent") || null };
}

/** @param {string | null} path @returns {string} */
export function threadAddress(path) {
  // Slashes and colons are legal in a query and much easier to read than their escapes.
  if (path === null) return location.pathname;
  return `${location.pathname}?thread=${encodeURIComponent(path).replaceAll("%2F", "/").replaceAll("%3A", ":")}`;
}

/** @param {string | null} path @param {boolean} replace */
export function showAddress(path, replace) {
  const wanted = threadAddress(path);
  if (location.pathname + location.search === wanted) return;
  if (replace) history.replaceState(null, "", wanted);
  else history.pushState(null, "", wanted);
}
