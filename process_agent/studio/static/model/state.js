/** The whole page as one value. `reduce` is pure; `store.js` holds the value. */

import { askedOlder } from "./older.js";
import { newThread, PREFIX, reduceThread, withoutPending, withPending } from "./thread.js";

/**
 * @typedef {import("./types.js").Body} Body
 * @typedef {import("./types.js").Choice} Choice
 * @typedef {import("./types.js").ContentPart} ContentPart
 * @typedef {import("./types.js").Member} Member
 * @typedef {import("./types.js").Notice} Notice
 * @typedef {import("./types.js").State} State
 * @typedef {import("./types.js").Thread} Thread
 * @typedef {import("../room/room.js").RoomEvent} RoomEvent
 * @typedef {import("../room/room.js").Participant} Participant
 */

/**
 * What can happen to the page.
 * @typedef {{type: "gate", gate: State["gate"]}
 *   | {type: "session", session: NonNullable<State["session"]>}
 *   | {type: "address", agent: string | null, thread: string | null}
 *   | {type: "room", event: RoomEvent}
 *   | {type: "agent", message: Body, at: number}
 *   | {type: "agent.chosen", name: string | null}
 *   | {type: "thread.new"}
 *   | {type: "thread.opening", path: string}
 *   | {type: "thread.starting", id: string, content: ContentPart[]}
 *   | {type: "input.sent", id: string, kind: "turn" | "steer", content: ContentPart[], turnId: string | null}
 *   | {type: "input.failed", id: string, error: string}
 *   | {type: "input.dropped", id: string}
 *   | {type: "approval.answered", turnId: string, itemId: string}
 *   | {type: "approval.refused", turnId: string, itemId: string}
 *   | {type: "secret.answered", id: string}
 *   | {type: "thread.late", path: string}
 *   | {type: "thread.older", id: string}
 *   | {type: "choice", choice: Choice | null}
 *   | {type: "notice", notice: Notice}
 *   | {type: "notice.gone", id: string}} Action
 */

const NOTICE_LIMIT = 4;
/** Threads of the list that are kept. */
const THREADS_LIMIT = 5000;

/** @type {State} */
export const INITIAL = {
  gate: "loading",
  session: null,
  connection: { phase: "connecting", retryAt: null, reason: "", wasOnline: false },
  self: null,
  members: [],
  agent: null,
  wanted: null,
  threads: { loaded: false, entries: [], total: 0 },
  thread: null,
  starting: null,
  models: { loaded: false, providers: [] },
  choice: null,
  notices: [],
};

/**
 * @param {State} state
 * @param {Action} action
 * @returns {State}
 */
export function reduce(state, action) {
  switch (action.type) {
    case "gate":
      return { ...state, gate: action.gate };
    case "session":
      return { ...state, session: action.session, gate: "open" };
    case "address":
      return { ...state, agent: action.agent, wanted: action.thread };
    case "room":
      return roomEvent(state, action.event);
    case "agent":
      return agentMessage(state, action.message, action.at);
    case "agent.chosen":
      return agentChosen(state, action.name);
    case "choice":
      return { ...state, choice: action.choice };
    case "notice":
      return { ...state, notices: [...state.notices, action.notice].slice(-NOTICE_LIMIT) };
    case "notice.gone":
      return { ...state, notices: state.notices.filter((notice) => notice.id !== action.id) };
    default:
      return threadAction(state, action);
  }
}

/**
 * @param {State} state
 * @param {Extract<Action, {type: `thread.${string}` | `input.${string}` | `approval.${string}` | `secret.${string}`}>} action
 * @returns {State}
 */
function threadAction(state, action) {
  switch (action.type) {
    case "thread.new":
      return { ...state, wanted: null, thread: null, starting: null };
    case "thread.opening":
      return { ...state, wanted: action.path, thread: opening(state.thread, action.path), starting: null };
    case "thread.starting":
      return { ...state, starting: ownInput(action.id, "turn", action.content, null) };
    case "input.sent":
      return inThread(state, (t) =>
        withPending(t, action.id, ownInput(action.id, action.kind, action.content, action.turnId)),
      );
    case "input.failed":
      return inputFailed(state, action.id, action.error);
    case "input.dropped":
      return state.starting?.id === action.id
        ? { ...state, starting: null }
        : inThread(state, (t) => withoutPending(t, action.id));
    case "approval.answered":
      return inThread(state, (t) => asked(t, action.turnId, action.itemId, "asked", "answering"));
    case "approval.refused":
      return inThread(state, (t) => asked(t, action.turnId, action.itemId, "answering", "asked"));
    case "secret.answered":
      return inThread(state, (t) => ({ ...t, secrets: t.secrets.filter((asked) => asked.id !== action.id) }));
    case "thread.older":
      return inThread(state, (t) => askedOlder(t, action.id, newThread(t.path)));
    case "thread.late":
      return inThread(state, (t) => (t.path === action.path && t.loading ? { ...t, late: true } : t));
  }
}

/**
 * A thread that is read (again). What it showed stays until the replay is complete, own inputs stay with it.
 * @param {Thread | null} known
 * @param {string} path
 * @returns {Thread}
 */
function opening(known, path) {
  if (known?.path !== path) return newThread(path, { loading: true });
  const pending = known.pending.filter((entry) => entry.mine);
  return newThread(path, {
    loading: true,
    pending,
    model: known.model,
    context: known.context,
    secrets: known.secrets,
    previous: { ...(known.previous ?? known), status: null, previous: null },
  });
}

/**
 * @param {string} id
 * @param {"turn" | "steer"} kind
 * @param {ContentPart[]} content
 * @param {string | null} turnId
 * @returns {import("./types.js").Pending}
 */
function ownInput(id, kind, content, turnId) {
  return { id, kind, content, sender: null, turnId, state: "sending", error: null, mine: true };
}

/** @param {State} state @param {(thread: Thread) => Thread} change @returns {State} */
function inThread(state, change) {
  return state.thread ? { ...state, thread: change(state.thread) } : state;
}

/** @param {State} state @param {string} id @param {string} error @returns {State} */
function inputFailed(state, id, error) {
  const starting = state.starting;
  if (starting && starting.id === id) return { ...state, starting: { ...starting, state: "failed", error } };
  return inThread(state, (t) =>
    t.pending.some((entry) => entry.id === id) ? withPending(t, id, { state: "failed", error }) : t,
  );
}

/**
 * A question that is being answered, or that is asked again because the answer did not count.
 * @param {Thread} thread
 * @param {string} turnId
 * @param {string} itemId
 * @param {"asked" | "answering"} from
 * @param {"asked" | "answering"} to
 * @returns {Thread}
 */
function asked(thread, turnId, itemId, from, to) {
  const turns = thread.turns.map((turn) => {
    if (turn.id !== turnId) return turn;
    const items = turn.items.map((item) =>
      item.kind === "tool" && item.id === itemId && item.approval?.state === from
        ? { ...item, approval: { ...item.approval, state: to } }
        : item,
    );
    return { ...turn, items };
  });
  return { ...thread, turns };
}

/** @param {State} state @param {RoomEvent} event @returns {State} */
function roomEvent(state, event) {
  switch (event.type) {
    case "phase":
      return phaseChanged(state, event);
    case "self":
      return { ...state, self: { id: event.id, name: event.name } };
    case "participants":
      return { ...state, members: present(state.members, event.participants) };
    case "joined":
      return { ...state, members: withMember(state.members, event.participant) };
    case "left":
      return {
        ...state,
        members: state.members.map((m) => (m.id === event.id ? { ...m, online: false } : m)),
      };
    case "attributes":
      return {
        ...state,
        members: state.members.map((m) => (m.id === event.id ? changed(m, event.attributes) : m)),
      };
    default:
      return state;
  }
}

/** @param {State} state @param {Extract<RoomEvent, {type: "phase"}>} event @returns {State} */
function phaseChanged(state, event) {
  if (event.phase === "signed-out") return { ...state, gate: "signed-out" };
  const wasOnline = state.connection.wasOnline || event.phase === "online";
  const connection = {
    phase: event.phase,
    retryAt: event.retryAt ?? null,
    reason: event.reason ?? "",
    wasOnline,
  };
  return { ...state, connection };
}

/** @param {Participant} p @returns {Member} */
function member(p) {
  const name = typeof p.attributes?.name === "string" ? p.attributes.name : "";
  return { id: p.id, role: p.role || "user", name, online: true, attributes: p.attributes ?? {} };
}

/** @param {Member} m @param {Body} attributes @returns {Member} */
function changed(m, attributes) {
  const all = { ...m.attributes, ...attributes };
  return { ...m, attributes: all, name: typeof all.name === "string" ? all.name : m.name };
}

/** Who is here now, then who was here before. @param {Member[]} known @param {Participant[]} now */
function present(known, now) {
  const here = now.map(member);
  const gone = known.filter((old) => !here.some((m) => m.name === old.name && m.role === old.role));
  return [...here, ...gone.map((m) => ({ ...m, online: false }))];
}

/** Somebody who comes back replaces what they left behind. @param {Member[]} known @param {Participant} p */
function withMember(known, p) {
  const fresh = member(p);
  const kept = known.filter(
    (m) => m.id !== p.id && (m.online || m.name !== fresh.name || m.role !== fresh.role),
  );
  return [...kept, fresh];
}

/** @param {State} state @param {string | null} name @returns {State} */
function agentChosen(state, name) {
  if (name === state.agent && state.threads.loaded) return state;
  const same = name === state.agent;
  return {
    ...state,
    agent: name,
    thread: same ? state.thread : null,
    starting: same ? state.starting : null,
    threads: same ? state.threads : { loaded: false, entries: [], total: 0 },
    models: same ? state.models : { loaded: false, providers: [] },
    choice: same ? state.choice : null,
  };
}

/** @param {State} state @param {Body} message @param {number} at @returns {State} */
function agentMessage(state, message, at) {
  switch (String(message.type).slice(PREFIX.length)) {
    case "thread.listed":
      return { ...state, threads: listed(state, message) };
    case "thread.created":
    case "thread.updated":
      if (!message.thread) return state;
      return { ...state, threads: withEntry(state.threads, message.thread) };
    case "thread.deleted":
      return threadDeleted(state, message.path);
    case "thread.started":
      return threadStarted(state, message);
    case "thread.start.rejected":
      return inputFailed(
        state,
        message.source_message_id,
        message.error?.message ?? "The agent refused this.",
      );
    case "turn.start.rejected":
      if (state.starting?.id !== message.source_message_id) break;
      return inputFailed(
        state,
        message.source_message_id,
        message.error?.message ?? "The agent refused this.",
      );
    case "models.response":
      return { ...state, models: { loaded: true, providers: message.providers ?? [] } };
  }
  const thread = state.thread;
  if (!thread || message.thread_id !== thread.path) return state;
  const next = reduceThread(thread.late ? { ...thread, late: false } : thread, message, at);
  return next === thread ? state : { ...state, thread: next };
}

/** A page of the list; the first one replaces what was there. @param {State} state @param {Body} message */
function listed(state, message) {
  /** @type {State["threads"]["entries"]} */
  const page = message.threads ?? [];
  const known = new Set(page.map((entry) => entry.path));
  // Threads may have moved from page to page since the one before was asked for.
  const before = message.offset ? state.threads.entries.filter((entry) => !known.has(entry.path)) : [];
  const entries = [...before, ...page].slice(0, THREADS_LIMIT);
  // An empty page is the end, whatever the count says.
  const total = page.length > 0 ? Math.max(message.total ?? 0, entries.length) : entries.length;
  return { loaded: true, entries, total };
}

/** @param {State["threads"]} threads @param {State["threads"]["entries"][number]} entry */
function withEntry(threads, entry) {
  const known = threads.entries.find((old) => old.path === entry.path);
  const merged = { ...known, ...entry };
  const entries = [merged, ...threads.entries.filter((old) => old.path !== entry.path)];
  return { ...threads, entries: entries.slice(0, THREADS_LIMIT), total: threads.total + (known ? 0 : 1) };
}

/** @param {State} state @param {string} path @returns {State} */
function threadDeleted(state, path) {
  const entries = state.threads.entries.filter((entry) => entry.path !== path);
  const total = state.threads.total - (state.threads.entries.length - entries.length);
  const open = state.thread?.path === path;
  return {
    ...state,
    threads: { ...state.threads, entries, total },
    thread: open ? null : state.thread,
    wanted: open || state.wanted === path ? null : state.wanted,
  };
}

/** @param {State} state @param {Body} message @returns {State} */
function threadStarted(state, message) {
  const starting = state.starting;
  if (!starting || starting.id !== message.source_message_id) return state;
  const thread = newThread(message.thread_id, { pending: starting.content.length > 0 ? [starting] : [] });
  return { ...state, starting: null, thread, wanted: message.thread_id };
}
