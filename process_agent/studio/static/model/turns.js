/** The turns of a thread: finding one, making one, changing one of its items. Pure. */

import { blankItem } from "./items.js";

/**
 * @typedef {import("./types.js").Body} Body
 * @typedef {import("./types.js").Item} Item
 * @typedef {import("./types.js").Thread} Thread
 * @typedef {import("./types.js").Turn} Turn
 */

/**
 * @param {Thread} thread
 * @param {Body} m
 * @param {number} at
 * @param {string} text
 * @param {"info" | "error"} [level]
 */
export function lastTurnNotice(thread, m, at, text, level = "info") {
  const turnId = thread.turns.at(-1)?.id;
  return turnId ? notice(thread, turnId, m.message_id, at, text, "", level) : thread;
}

/**
 * @param {Thread} thread
 * @param {string} turnId
 * @param {string} id
 * @param {number} at
 * @param {string} text
 * @param {string} detail
 * @param {"info" | "error"} [level]
 */
export function notice(thread, turnId, id, at, text, detail, level = "info") {
  return withItem(
    thread,
    turnId,
    "notice",
    id,
    at,
    (item) => /** @type {Item} */ ({ ...item, text, detail, level }),
  );
}

/**
 * @param {Thread} thread
 * @param {string} turnId
 * @param {Item["kind"]} kind
 * @param {string} id
 * @param {number} at
 * @param {(item: Item) => Item} change
 */
export function withItem(thread, turnId, kind, id, at, change) {
  const key = `${kind}:${id}`;
  return withTurn(thread, turnId, at, (turn) => {
    const index = turn.items.findLastIndex((item) => item.key === key);
    if (index < 0) return { ...turn, items: [...turn.items, change(blankItem(kind, id, at))] };
    const items = [...turn.items];
    items[index] = change(items[index]);
    return { ...turn, items };
  });
}

/**
 * Changes a turn, and makes it when it is new: who joins in the middle hears no start.
 * @param {Thread} thread
 * @param {string} turnId
 * @param {number} at
 * @param {(turn: Turn) => Turn} change
 * @returns {Thread}
 */
export function withTurn(thread, turnId, at, change) {
  if (thread.turns.findLastIndex((turn) => turn.id === turnId) >= 0)
    return changeTurn(thread, turnId, change);
  /** @type {Turn} */
  const fresh = {
    id: turnId,
    items: [],
    state: "running",
    outcome: null,
    stopping: false,
    error: null,
    startedAt: at,
    endedAt: null,
    usage: null,
    cost: null,
  };
  return { ...thread, turns: [...thread.turns, change(fresh)] };
}

/**
 * @param {Thread} thread
 * @param {string} turnId
 * @param {(turn: Turn) => Turn} change
 * @returns {Thread}
 */
export function changeTurn(thread, turnId, change) {
  const index = thread.turns.findLastIndex((turn) => turn.id === turnId);
  if (index < 0) return thread;
  const turns = [...thread.turns];
  turns[index] = change(turns[index]);
  return { ...thread, turns };
}
