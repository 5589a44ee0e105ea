/** What single messages say about the turn that runs: its status line, its tokens. Pure. */

/**
 * @typedef {import("./types.js").Body} Body
 * @typedef {import("./types.js").Thread} Thread
 */

/** @param {Body} m @returns {Thread["status"]} */
export function statusOf(m) {
  if (!m.status) return null;
  return {
    text: m.status,
    steerable: m.mode === "steerable" && Boolean(m.turn_id),
    turnId: m.turn_id ?? null,
    startedAt: Date.parse(m.started_at ?? "") || null,
    itemId: m.pending_item_id ?? null,
  };
}

/** Sums metrics by their last word, so that prefixed names of other agents count too. @param {Body} usage */
export function tokens(usage) {
  let input = 0;
  let output = 0;
  for (const [name, value] of Object.entries(usage)) {
    if (typeof value !== "number") continue;
    if (/(^|\.)input_tokens$/.test(name)) input += value;
    else if (/(^|\.)output_tokens$/.test(name)) output += value;
  }
  return input + output > 0 ? { input, output } : null;
}
