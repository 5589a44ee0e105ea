/**
 * Turns before those a thread shows, a page at a time. The messages of a page come among those of what goes on
 * now; they are told apart by their time, and go into a thread of their own until the page is complete. Pure.
 */

import { settle } from "./items.js";

/**
 * @typedef {import("./types.js").Body} Body
 * @typedef {import("./types.js").Thread} Thread
 * @typedef {import("./types.js").Turn} Turn
 */

/** Turns a page asks for. */
export const PAGE_TURNS = 100;

/** Turns kept of one thread; whoever wants more prints the whole of it. */
export const MAX_TURNS = 5000;

/**
 * A page is asked for.
 * @param {Thread} thread
 * @param {string} id message id of the request
 * @param {Thread} page an empty thread
 * @returns {Thread}
 */
export function askedOlder(thread, id, page) {
  const until = thread.turns[0]?.startedAt ?? Infinity;
  return { ...thread, olderPage: { id, until, thread: page } };
}

/** Whether a message is of the page that is on its way. @param {Thread} thread @param {Body} message */
export function isOlder(thread, message) {
  const page = thread.olderPage;
  return page !== null && Date.parse(message.created_at ?? "") <= page.until && !isEnd(thread, message);
}

/** Whether a message ends the page. @param {Thread} thread @param {Body} message */
export function isEnd(thread, message) {
  return (
    String(message.type).endsWith(".thread.loaded") && message.source_message_id === thread.olderPage?.id
  );
}

/**
 * The page is complete: its turns come first.
 * @param {Thread} thread
 * @param {Body} message
 * @returns {Thread}
 */
export function withOlder(thread, message) {
  const known = new Set(thread.turns.map((turn) => turn.id));
  const fresh = (thread.olderPage?.thread.turns ?? []).filter((turn) => !known.has(turn.id)).map(over);
  const turns = [...fresh, ...thread.turns];
  return { ...thread, turns, olderPage: null, older: turns.length < MAX_TURNS ? cursorOf(message) : null };
}

/** Where the turns before what came begin; null when there are none. @param {Body} message @returns {string | null} */
export function cursorOf(message) {
  return message.metadata?.process?.older ?? null;
}

/** A turn of long ago is over, also when its end is not kept. @param {Turn} turn @returns {Turn} */
function over(turn) {
  if (turn.state === "ended") return turn;
  const items = turn.items.map((item) => settle(item, turn.startedAt));
  return { ...turn, items, state: "ended", outcome: "lost", stopping: false };
}
