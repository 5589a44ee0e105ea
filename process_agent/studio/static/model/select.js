/** Answers that views need and the state only implies. Pure. */

import { runningTurn } from "./thread.js";

/**
 * @typedef {import("./types.js").Body} Body
 * @typedef {import("./types.js").Choice} Choice
 * @typedef {import("./types.js").ContentPart} ContentPart
 * @typedef {import("./types.js").Member} Member
 * @typedef {import("./types.js").State} State
 * @typedef {Member & {clients: number}} Person `clients` are those that are here
 * @typedef {import("./types.js").ThreadEntry} ThreadEntry
 * @typedef {{backend: string, provider: string, model: string, label: string, group: string, scripted: boolean, active: boolean}} ModelOption
 */

/** Participants that chat in the agent protocol, by name. @param {State} state @returns {Member[]} */
export function agents(state) {
  return state.members
    .filter((m) => m.attributes.supports_agent_messages === true || (m.role === "agent" && !m.online))
    .sort((a, b) => Number(b.online) - Number(a.online) || a.name.localeCompare(b.name));
}

/** The agent talked to, when it is here and ready. @param {State} state @returns {Member | null} */
export function currentAgent(state) {
  const found = state.members.find(
    (m) => m.online && m.name === state.agent && m.attributes.supports_agent_messages === true,
  );
  return found ?? null;
}

/**
 * Who is or was here, each once however many clients they have open; the user of this page comes last. Agents stay
 * apart, because each is somebody to talk to.
 * @param {State} state
 * @returns {Person[]}
 */
export function people(state) {
  const { self } = state;
  const isSelf = (/** @type {Member} */ m) =>
    m.id === self?.id || (m.role === "user" && m.name !== "" && m.name === self?.name);
  /** @type {Map<string, Person>} */
  const found = new Map();
  for (const member of state.members.filter((m) => !isSelf(m))) {
    const key = member.role === "agent" || !member.name ? member.id : `${member.role} ${member.name}`;
    const known = found.get(key);
    const clients = (known?.clients ?? 0) + Number(member.online);
    found.set(key, { ...(known?.online ? known : member), clients });
  }
  const others = [...found.values()].sort(
    (a, b) => Number(b.online) - Number(a.online) || rank(a) - rank(b) || a.name.localeCompare(b.name),
  );
  if (!self) return others;
  const own = state.members.filter((m) => isSelf(m) && m.online && m.id !== self.id);
  return [...others, { ...self, role: "you", online: true, attributes: {}, clients: 1 + own.length }];
}

const ORDER = { agent: 0, user: 1, tool: 2 };

/** @param {Member} m */
function rank(m) {
  return ORDER[/** @type {keyof typeof ORDER} */ (m.role)] ?? 3;
}

/** What one should know before one talks to the agent. @param {State} state @returns {string | null} */
export function cautionOf(state) {
  const caution = currentAgent(state)?.attributes["process.caution"];
  return typeof caution === "string" && caution ? caution.slice(0, 300) : null;
}

/**
 * Which agent to talk to: the chosen one, else the owner of the wanted thread, else the first one here.
 * @param {State} state
 * @returns {string | null}
 */
export function agentToChoose(state) {
  if (state.agent) return state.agent;
  const here = agents(state).filter((m) => m.online);
  const owner = state.wanted && /\/agents\/([^/]+)\//.exec(`/${state.wanted.replace(/^\w+:\/\//, "")}`)?.[1];
  return (here.find((m) => m.name === owner) ?? here[0])?.name ?? null;
}

/** The one thread of an agent that has no others. @param {State} state @returns {string | null} */
export function onlyThread(state) {
  const attributes = currentAgent(state)?.attributes ?? {};
  const path = attributes["meshagent.chatbot.thread-path"];
  return typeof path === "string" && path && !attributes["meshagent.chatbot.threading"] ? path : null;
}

/** Whether a message is the command that clients carry out themselves. @param {ContentPart[]} content */
export function asksForNewThread(content) {
  const [part, ...more] = content;
  return more.length === 0 && part?.type === "text" && part.text.trim().toLowerCase() === "/new";
}

/** What the page shows as the open thread: while a thread is read again, its former state. @param {State} state */
export function shownThread(state) {
  const thread = state.thread;
  return thread?.loading && thread.previous ? thread.previous : thread;
}

/**
 * What a message sent now does.
 * @param {State} state
 * @returns {{kind: "start"} | {kind: "turn"} | {kind: "queue"} | {kind: "steer", turnId: string} | {kind: "wait"}}
 */
export function nextInput(state) {
  if (state.connection.phase !== "online" || !currentAgent(state)) return { kind: "wait" };
  const thread = state.thread;
  if (!thread && onlyThread(state)) return { kind: "wait" };
  if (!thread) return state.starting?.state === "sending" ? { kind: "wait" } : { kind: "start" };
  if (thread.loading) return { kind: "wait" };
  const turn = runningTurn(thread);
  if (!turn) return { kind: thread.pending.some((entry) => entry.state !== "failed") ? "queue" : "turn" };
  const status = thread.status;
  if (status?.steerable && status.turnId && !turn.stopping) return { kind: "steer", turnId: status.turnId };
  return { kind: "queue" };
}

/** The turn a stop button would stop. @param {State} state @returns {{turnId: string, stopping: boolean} | null} */
export function stoppable(state) {
  const thread = state.thread;
  if (!thread || thread.loading) return null;
  const turn = runningTurn(thread);
  if (turn) return { turnId: turn.id, stopping: turn.stopping };
  return thread.status?.turnId ? { turnId: thread.status.turnId, stopping: false } : null;
}

/** All models on offer, flat. @param {State} state @returns {ModelOption[]} */
export function modelOptions(state) {
  return state.models.providers.flatMap((provider) =>
    (provider.models ?? []).map((/** @type {Body} */ model) => ({
      backend: provider.backend,
      provider: provider.name,
      model: model.name,
      label: model.friendly_name || model.name,
      group: provider.friendly_name || provider.name,
      scripted: isScripted(provider.name, provider.friendly_name, model.name, model.friendly_name),
      active: model.active === true || model.name === provider.default_model,
    })),
  );
}

/** The model the next turn will use, as far as it is known. @param {State} state @returns {ModelOption | null} */
export function currentModel(state) {
  const options = modelOptions(state);
  const wanted = state.choice ?? shownThread(state)?.model ?? null;
  const exact = wanted && options.find((option) => matches(option, wanted));
  if (exact) return exact;
  if (wanted?.model) return unlisted(wanted);
  return options.find((option) => option.active) ?? options[0] ?? null;
}

/** What a turn asks for: nothing, unless the user chose or the agent needs to be told. @param {State} state @returns {Partial<Choice>} */
export function wish(state) {
  if (state.choice) return state.choice;
  const backends = new Set(state.models.providers.map((provider) => provider.backend));
  if (backends.size < 2) return {};
  const model = currentModel(state);
  return model ? { backend: model.backend, provider: model.provider, model: model.model } : {};
}

/** The label of the scripted model must show wherever it answers. @param {...(string | null | undefined)} names */
export function isScripted(...names) {
  return names.some((name) => /scripted/i.test(name ?? ""));
}

/**
 * Threads by age, newest first.
 * @param {ThreadEntry[]} entries
 * @param {number} now
 * @returns {{label: string, entries: ThreadEntry[]}[]}
 */
export function threadGroups(entries, now) {
  const today = new Date(now).setHours(0, 0, 0, 0);
  const day = 86_400_000;
  /** @type {[string, number][]} */
  const limits = [
    ["Today", today],
    ["Yesterday", today - day],
    ["Last 7 days", today - 6 * day],
    ["Earlier", -Infinity],
  ];
  const sorted = [...entries].sort((a, b) => time(b) - time(a));
  return limits
    .map(([label, from], index) => ({
      label,
      entries: sorted.filter(
        (entry) => time(entry) >= from && (index === 0 || time(entry) < limits[index - 1][1]),
      ),
    }))
    .filter((group) => group.entries.length > 0);
}

/** @param {ThreadEntry} entry */
function time(entry) {
  return Date.parse(entry.modified_at || entry.created_at) || 0;
}

/** @param {ModelOption} option @param {Choice} wanted */
function matches(option, wanted) {
  return (
    option.model === wanted.model &&
    (!wanted.backend || option.backend === wanted.backend) &&
    (!wanted.provider || option.provider === wanted.provider)
  );
}

/** @param {Choice} wanted @returns {ModelOption} */
function unlisted(wanted) {
  const model = wanted.model ?? "";
  return {
    backend: wanted.backend ?? "",
    provider: wanted.provider ?? "",
    model,
    label: model,
    group: wanted.provider ?? "",
    scripted: isScripted(wanted.provider, model),
    active: false,
  };
}
