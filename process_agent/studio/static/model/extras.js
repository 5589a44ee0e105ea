/** Agent messages beside the talk itself: tokens and cost, compaction, secrets. Pure. */

import { tokens } from "./readings.js";
import { changeTurn, withItem } from "./turns.js";

/**
 * @typedef {import("./types.js").Body} Body
 * @typedef {import("./types.js").Thread} Thread
 */

/** Secrets that wait at a time. */
const SECRET_LIMIT = 20;

/** @type {Record<string, (thread: Thread, message: Body, at: number) => Thread>} */
export const EXTRA_RULES = {
  "usage.updated": usageUpdated,
  "context.compacted": compacted,
  "secret.requested": secretAsked,
};

/** @param {Thread} thread @param {Body} m @returns {Thread} */
function usageUpdated(thread, m) {
  const window = m.context_window;
  const context = window?.used_tokens
    ? {
        used: window.used_tokens,
        total: window.total_tokens ?? null,
        compactsAt: window.compaction_threshold ?? null,
      }
    : thread.context;
  const usage = tokens(m.usage ?? {});
  const next = { ...thread, context };
  if (!m.turn_id || !usage) return next;
  const cost = m.metadata?.process?.cost;
  return changeTurn(next, m.turn_id, (turn) => ({ ...turn, usage, cost: cost ?? turn.cost }));
}

/** How full the context is now, the next message about it says. @param {Thread} thread @param {Body} m @param {number} at */
function compacted(thread, m, at) {
  const own = m.metadata?.process ?? {};
  const text =
    own.automatic === false
      ? "The model's memory of this thread was shortened."
      : "The model's memory was full: earlier messages were summarised to make room.";
  const turnId = m.turn_id ?? thread.turns.at(-1)?.id;
  const next = { ...thread, context: null };
  if (!turnId) return next;
  return withItem(
    next,
    turnId,
    "notice",
    m.message_id,
    at,
    (item) => /** @type {any} */ ({ ...item, text, detail: own.summary ?? "", compaction: true }),
  );
}

/** @param {Thread} thread @param {Body} m @returns {Thread} */
function secretAsked(thread, m) {
  if (!m.turn_id || !m.request_id || thread.secrets.some((asked) => asked.id === m.request_id)) return thread;
  const asked = {
    id: m.request_id,
    turnId: m.turn_id,
    name: m.secret_name ?? "a secret",
    prompt: m.prompt ?? "",
    login: m.oauth ? (m.oauth.authorization_endpoint ?? "") : null,
    redirect: m.oauth?.redirect_uri ?? null,
  };
  return { ...thread, secrets: [...thread.secrets, asked].slice(-SECRET_LIMIT) };
}

/** What the turns that are known cost together. @param {Thread | null} thread @returns {number | null} */
export function costOf(thread) {
  const costs = (thread?.turns ?? []).flatMap((turn) => (turn.cost === null ? [] : [turn.cost]));
  return costs.length > 0 ? costs.reduce((sum, cost) => sum + cost, 0) : null;
}
