/** One thread: agent messages in, turns with their items out. Pure. */

import { EXTRA_RULES } from "./extras.js";
import { isSaidTwice, ITEM_RULES, settle } from "./items.js";
import { cursorOf, isEnd, isOlder, withOlder } from "./older.js";
import { statusOf } from "./readings.js";
import { changeTurn, lastTurnNotice, notice, withItem, withTurn } from "./turns.js";

/**
 * @typedef {import("./types.js").Body} Body
 * @typedef {import("./types.js").ContentPart} ContentPart
 * @typedef {import("./types.js").Item} Item
 * @typedef {import("./types.js").Pending} Pending
 * @typedef {import("./types.js").Thread} Thread
 * @typedef {import("./types.js").Turn} Turn
 */

export const PREFIX = "meshagent.agent.";

/** Inputs kept that wait for their turn; the oldest failed ones go first. */
const PENDING_LIMIT = 200;

/** Turns among which an input is looked for; it is never older than the queue is long. */
const RECENT = 50;

/**
 * @param {string} path
 * @param {Partial<Thread>} [rest]
 * @returns {Thread}
 */
export function newThread(path, rest = {}) {
  return {
    path,
    loading: false,
    previous: null,
    turns: [],
    pending: [],
    status: null,
    context: null,
    model: null,
    secrets: [],
    late: false,
    older: null,
    olderPage: null,
    ...rest,
  };
}

/**
 * The thread after one agent message. `at` is when the page heard it, in milliseconds; a stored message brings
 * its own time.
 * @param {Thread} thread
 * @param {Body} message
 * @param {number} at
 * @returns {Thread}
 */
export function reduceThread(thread, message, at) {
  if (thread.olderPage && isEnd(thread, message)) return withOlder(thread, message);
  if (thread.olderPage && isOlder(thread, message)) return withPage(thread, message, at);
  const type = String(message.type).slice(PREFIX.length);
  const when = Date.parse(message.created_at ?? "") || at;
  const rule = THREAD_RULES[type];
  if (rule) return rule(thread, message, when);
  const itemRule = ITEM_RULES[type];
  if (!itemRule || !message.turn_id || !message.item_id) return thread;
  if (isSaidTwice(itemRule.kind, message.item_id)) return thread;
  return withItem(thread, message.turn_id, itemRule.kind, message.item_id, when, (item) =>
    itemRule.change(item, message, when),
  );
}

/** A message of the page; what it says of turns that are shown is known. @param {Thread} thread @param {Body} message @param {number} at */
function withPage(thread, message, at) {
  const page = thread.olderPage;
  if (!page || !message.turn_id || thread.turns.some((turn) => turn.id === message.turn_id)) return thread;
  return { ...thread, olderPage: { ...page, thread: reduceThread(page.thread, message, at) } };
}

/** @type {Record<string, (thread: Thread, message: Body, at: number) => Thread>} */
const THREAD_RULES = {
  "turn.start": (t, m) =>
    withPending(t, m.message_id, { kind: "turn", ...said(m), turnId: m.turn_id ?? null }),
  "turn.steer": (t, m) =>
    withPending(t, m.message_id, { kind: "steer", ...said(m), turnId: m.turn_id ?? null }),
  "turn.start.accepted": (t, m) => accepted(t, m, "turn"),
  "turn.steer.accepted": (t, m) => accepted(t, m, "steer"),
  "turn.started": (t, m, at) =>
    userItem(
      withTurn(t, m.turn_id, at, (turn) => turn),
      m,
      false,
      at,
    ),
  "turn.steered": (t, m, at) => userItem(t, m, true, at),
  "turn.start.rejected": rejected,
  "turn.steer.rejected": rejected,
  "turn.interrupt.accepted": (t, m) => changeTurn(t, m.turn_id, (turn) => ({ ...turn, stopping: true })),
  "turn.interrupted": (t, m) => changeTurn(t, m.turn_id, (turn) => ({ ...turn, outcome: "interrupted" })),
  "turn.ended": turnEnded,
  "thread.status": (t, m) => ({ ...t, status: statusOf(m) }),
  "thread.loaded": (t, m) => ({
    ...t,
    loading: false,
    previous: null,
    pending: confirmed(t),
    older: t.loading ? cursorOf(m) : t.older,
  }),
  "thread.cleared": cleared,
  "model.changed": (t, m) => ({
    ...t,
    model: { backend: m.backend ?? null, provider: m.provider ?? null, model: m.model ?? null },
  }),
  "thread.event": threadEvent,
  ...EXTRA_RULES,
};

/**
 * The turn that runs, if any.
 * @param {Thread} thread
 * @returns {Turn | null}
 */
export function runningTurn(thread) {
  const last = thread.turns.findLast((turn) => turn.state === "running");
  return last ?? null;
}

/** @param {Body} m @returns {{content: ContentPart[], sender: string | null}} */
function said(m) {
  return { content: m.content ?? [], sender: m.sender_name ?? null };
}

/**
 * Adds a pending input, or changes the one with this id; values that say nothing change nothing.
 * @param {Thread} thread
 * @param {string} id
 * @param {Partial<Pending>} change
 * @returns {Thread}
 */
export function withPending(thread, id, change) {
  if (isPlaced(thread, id)) return thread;
  const known = thread.pending.find((entry) => entry.id === id);
  if (!known) {
    /** @type {Pending} */
    const fresh = {
      id,
      kind: "turn",
      content: [],
      sender: null,
      turnId: null,
      state: "queued",
      error: null,
      mine: false,
      ...change,
    };
    return { ...thread, pending: [...thread.pending, fresh].slice(-PENDING_LIMIT) };
  }
  const content = change.content?.length ? change.content : known.content;
  const sender = change.sender ?? known.sender;
  const next = { ...known, ...change, content, sender, turnId: change.turnId ?? known.turnId };
  return { ...thread, pending: thread.pending.map((entry) => (entry === known ? next : entry)) };
}

/** @param {Thread} thread @param {string} id */
export function withoutPending(thread, id) {
  return { ...thread, pending: thread.pending.filter((entry) => entry.id !== id) };
}

/** Whether an input is part of a recent turn already. @param {Thread} thread @param {string} id */
function isPlaced(thread, id) {
  const key = `user:${id}`;
  return thread.turns.slice(-RECENT).some((turn) => turn.items.some((item) => item.key === key));
}

/** What was said before is gone; what runs or waits is not over. @param {Thread} t @returns {Thread} */
function cleared(t) {
  const turns = t.turns.filter((turn) => turn.state === "running");
  return newThread(t.path, {
    loading: t.loading,
    model: t.model,
    turns,
    pending: t.pending.filter((entry) => entry.state !== "failed"),
    secrets: t.secrets,
    status: turns.length > 0 ? t.status : null,
  });
}

/** @param {Thread} t @param {Body} m @param {"turn" | "steer"} kind */
function accepted(t, m, kind) {
  return withPending(t, m.source_message_id, {
    kind,
    ...said(m),
    turnId: m.turn_id ?? null,
    state: "queued",
  });
}

/** @param {Thread} t @param {Body} m @param {number} at */
function rejected(t, m, at) {
  const text = m.error?.message ?? "The agent refused this message.";
  const known = t.pending.find((entry) => entry.id === m.source_message_id);
  // A stored steer that was refused comes without its text: there is nothing to say it to.
  if (known && known.content.length === 0) return withoutPending(t, known.id);
  if (known) return withPending(t, known.id, { state: "failed", error: text });
  return lastTurnNotice(t, m, at, text, "error");
}

/**
 * An input becomes part of its turn.
 * @param {Thread} thread
 * @param {Body} m
 * @param {boolean} steer
 * @param {number} at
 */
function userItem(thread, m, steer, at) {
  const id = m.source_message_id;
  const known = thread.pending.find((entry) => entry.id === id);
  const { content, sender } = said(m);
  return withItem(withoutPending(thread, id), m.turn_id, "user", id, at, (item) => {
    const kept = item.kind === "user" ? item : { content: [], sender: null };
    return /** @type {Item} */ ({
      ...item,
      steer,
      content: firstFilled(content, known?.content, kept.content),
      sender: sender ?? known?.sender ?? kept.sender,
    });
  });
}

/** @param {(ContentPart[] | undefined)[]} lists @returns {ContentPart[]} */
function firstFilled(...lists) {
  return lists.find((list) => list && list.length > 0) ?? [];
}

/** @param {Thread} thread @param {Body} m @param {number} at @returns {Thread} */
function turnEnded(thread, m, at) {
  const error = m.error ? { message: m.error.message ?? "", code: m.error.code ?? "" } : null;
  const next = changeTurn(thread, m.turn_id, (turn) => {
    const outcome = outcomeOf(m, error, turn);
    return {
      ...turn,
      state: /** @type {const} */ ("ended"),
      stopping: false,
      outcome,
      error: outcome === "failed" || outcome === "lost" ? error : null,
      endedAt: at,
      items: turn.items.map((item) => settle(item, at)),
    };
  });
  const pending = next.pending
    .filter((entry) => entry.turnId !== m.turn_id || entry.kind === "steer")
    .map((entry) => (entry.turnId === m.turn_id && entry.state !== "failed" ? missed(entry) : entry));
  const status = next.status?.turnId && next.status.turnId !== m.turn_id ? next.status : null;
  const secrets = next.secrets.filter((asked) => asked.turnId !== m.turn_id);
  return { ...next, pending, status, secrets };
}

/** A steer that its turn did not take up. @param {Pending} entry @returns {Pending} */
function missed(entry) {
  return { ...entry, state: "failed", error: "The turn ended before it could take this up." };
}

/** @param {Body} m @param {{message: string, code: string} | null} error @param {Turn} turn @returns {Turn["outcome"]} */
function outcomeOf(m, error, turn) {
  const named = m.metadata?.process?.reason;
  if (["completed", "interrupted", "failed", "lost"].includes(named)) return named;
  if (turn.outcome === "interrupted") return "interrupted";
  if (!error) return "completed";
  return /cancel|interrupt|abort/i.test(`${error.code} ${error.message}`) ? "interrupted" : "failed";
}

/** @param {Thread} thread @param {Body} m @param {number} at @returns {Thread} */
function threadEvent(thread, m, at) {
  const event = m.event ?? {};
  switch (event.type) {
    case "codex_reasoning_delta":
      return withItem(thread, event.turn_id, "reasoning", event.item_id, at, (item) =>
        ITEM_RULES["reasoning_content.delta"].change(item, event, at),
      );
    case "agent.event":
    case "codex.event":
      return event.headline ? eventNotice(thread, m, event, at) : thread;
    default:
      return thread;
  }
}

/** @param {Thread} thread @param {Body} m @param {Body} event @param {number} at */
function eventNotice(thread, m, event, at) {
  const detail = [event.summary, ...(event.details ?? [])]
    .filter((line) => line && line !== event.headline)
    .join("\n");
  const id = event.correlation_key ?? event.item_id ?? m.message_id;
  const turnId = event.turn_id ?? m.turn_id ?? thread.turns.at(-1)?.id;
  return turnId
    ? notice(thread, turnId, id, at, event.headline, detail, event.state === "failed" ? "error" : "info")
    : thread;
}

/** After a replay: own inputs that it does not know were lost on the way. @param {Thread} thread */
function confirmed(thread) {
  return thread.pending.map((entry) =>
    entry.state === "sending"
      ? {
          ...entry,
          state: /** @type {const} */ ("failed"),
          error: "The connection broke before this arrived.",
        }
      : entry,
  );
}
