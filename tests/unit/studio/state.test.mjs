import assert from "node:assert/strict";
import { test } from "node:test";

import * as select from "../../../process_agent/studio/static/model/select.js";
import { INITIAL, reduce } from "../../../process_agent/studio/static/model/state.js";
import { Seen } from "../../../process_agent/studio/static/protocol/seen.js";

const T = "dataset://agents/bot/threads/1";
const bot = { id: "1", role: "agent", attributes: { name: "bot", supports_agent_messages: true } };
const ana = { id: "2", role: "user", attributes: { name: "ana" } };
const content = [{ type: "text", text: "hi" }];

const room = (event) => ({ type: "room", event });
const agent = (type, fields) => ({
  type: "agent",
  at: 1,
  message: { type: `meshagent.agent.${type}`, message_id: "x", ...fields },
});
const play = (actions, state = INITIAL) => actions.reduce(reduce, state);
const online = [
  { type: "session", session: { room: "demo", name: "ana" } },
  room({ type: "self", id: "2", name: "ana", room: "demo" }),
  room({ type: "participants", participants: [bot] }),
  room({ type: "phase", phase: "online" }),
  { type: "agent.chosen", name: "bot" },
];

test("participants come, change, go, and are remembered", () => {
  let state = play([
    ...online,
    room({ type: "joined", participant: { id: "3", role: "agent", attributes: { name: "other" } } }),
  ]);
  assert.deepEqual(
    select.agents(state).map((m) => m.name),
    ["bot"],
  );
  state = play([room({ type: "attributes", id: "3", attributes: { supports_agent_messages: true } })], state);
  assert.deepEqual(
    select.agents(state).map((m) => m.name),
    ["bot", "other"],
  );
  state = play([room({ type: "left", id: "1" })], state);
  assert.equal(select.currentAgent(state), null);
  assert.deepEqual(
    state.members.map((m) => [m.name, m.online]),
    [
      ["bot", false],
      ["other", true],
    ],
  );
  state = play([room({ type: "joined", participant: { ...bot, id: "9" } })], state);
  assert.deepEqual(
    state.members.map((m) => [m.id, m.name, m.online]),
    [
      ["3", "other", true],
      ["9", "bot", true],
    ],
  );
  state = play([room({ type: "participants", participants: [ana] })], state);
  assert.deepEqual(
    state.members.filter((m) => m.online).map((m) => m.name),
    ["ana"],
  );
  assert.equal(state.members.length, 3);
});

test("each person is listed once, with the number of clients, the user of the page last", () => {
  const cat = (id) => ({ id, role: "user", attributes: { name: "cat" } });
  const joined = (participant) => room({ type: "joined", participant });
  const listed = (state) => select.people(state).map((p) => [p.name, p.role, p.clients, p.online]);
  let state = play([...online, joined(cat("3")), joined(cat("4")), joined({ ...ana, id: "5" }), joined({ ...bot, id: "6" })]);
  assert.deepEqual(listed(state), [
    ["bot", "agent", 1, true],
    ["bot", "agent", 1, true],
    ["cat", "user", 2, true],
    ["ana", "you", 2, true],
  ]);
  state = play([room({ type: "left", id: "3" }), room({ type: "left", id: "5" })], state);
  assert.deepEqual(listed(state).slice(2), [
    ["cat", "user", 1, true],
    ["ana", "you", 1, true],
  ]);
  state = play([room({ type: "left", id: "4" })], state);
  assert.deepEqual(listed(state).slice(2), [
    ["cat", "user", 0, false],
    ["ana", "you", 1, true],
  ]);
});

test("which agent to talk to", () => {
  const two = play([
    room({
      type: "participants",
      participants: [bot, { ...bot, id: "5", attributes: { ...bot.attributes, name: "aaa" } }],
    }),
  ]);
  assert.equal(select.agentToChoose(two), "aaa");
  assert.equal(select.agentToChoose({ ...two, wanted: T }), "bot");
  assert.equal(select.agentToChoose({ ...two, agent: "gone" }), "gone");
  assert.equal(select.agentToChoose(INITIAL), null);
});

test("a new thread: the first message waits, then belongs to the thread", () => {
  let state = play([...online, { type: "thread.starting", id: "M", content }]);
  assert.equal(select.nextInput(state).kind, "wait");
  state = play([agent("thread.started", { source_message_id: "other", thread_id: "x" })], state);
  assert.equal(state.thread, null);
  state = play([agent("thread.started", { source_message_id: "M", thread_id: T })], state);
  assert.deepEqual(
    [state.thread.path, state.wanted, state.starting, state.thread.pending.length],
    [T, T, null, 1],
  );
  const refused = play([
    ...online,
    { type: "thread.starting", id: "M", content },
    agent("thread.start.rejected", { source_message_id: "M", error: { message: "no model", code: "x" } }),
  ]);
  assert.deepEqual([refused.starting.state, refused.starting.error], ["failed", "no model"]);
  assert.equal(select.nextInput(refused).kind, "start");
});

test("what a message sent now does", () => {
  const open = play([
    ...online,
    { type: "thread.opening", path: T },
    agent("thread.loaded", { thread_id: T }),
  ]);
  assert.equal(select.nextInput(open).kind, "turn");
  const running = play(
    [agent("turn.started", { thread_id: T, turn_id: "U", source_message_id: "M", content })],
    open,
  );
  assert.equal(select.nextInput(running).kind, "queue");
  const steerable = play(
    [agent("thread.status", { thread_id: T, turn_id: "U", status: "Thinking", mode: "steerable" })],
    running,
  );
  assert.deepEqual(select.nextInput(steerable), { kind: "steer", turnId: "U" });
  assert.deepEqual(select.stoppable(steerable), { turnId: "U", stopping: false });
  const stopping = play([agent("turn.interrupt.accepted", { thread_id: T, turn_id: "U" })], steerable);
  assert.equal(select.nextInput(stopping).kind, "queue");
  assert.equal(
    select.nextInput(play([room({ type: "phase", phase: "waiting", retryAt: 5 })], open)).kind,
    "wait",
  );
});

test("reading a thread again keeps what it showed, and tells what was lost", () => {
  let state = play([
    ...online,
    { type: "thread.opening", path: T },
    agent("thread.loaded", { thread_id: T }),
    agent("turn.started", { thread_id: T, turn_id: "U", source_message_id: "M", content }),
  ]);
  state = play(
    [
      { type: "input.sent", id: "N", kind: "turn", content, turnId: null },
      { type: "thread.opening", path: T },
    ],
    state,
  );
  assert.equal(select.shownThread(state).turns.length, 1);
  assert.equal(state.thread.turns.length, 0);
  state = play([{ type: "thread.opening", path: T }], state);
  assert.equal(select.shownThread(state).turns.length, 1);
  state = play(
    [
      agent("turn.started", { thread_id: T, turn_id: "U", source_message_id: "M", content }),
      agent("thread.loaded", { thread_id: T }),
    ],
    state,
  );
  assert.equal(state.thread.previous, null);
  assert.equal(state.thread.turns.length, 1);
  assert.deepEqual(
    state.thread.pending.map((p) => [p.id, p.state]),
    [["N", "failed"]],
  );
});

test("messages of other threads change nothing", () => {
  const state = play([...online, { type: "thread.opening", path: T }]);
  assert.equal(
    reduce(
      state,
      agent("text_content.delta", { thread_id: "elsewhere", turn_id: "U", item_id: "i", text: "x" }),
    ),
    state,
  );
});

test("the thread list follows what happens", () => {
  const entry = (path, name) => ({
    path,
    name,
    created_at: "2026-01-01T00:00:00Z",
    modified_at: "2026-01-02T00:00:00Z",
  });
  let state = play([...online, agent("thread.listed", { threads: [entry(T, "one")], offset: 0 })]);
  state = play(
    [
      agent("thread.created", { thread: entry("b", "two") }),
      agent("thread.updated", { thread: { path: T, name: "renamed" } }),
    ],
    state,
  );
  assert.deepEqual(
    state.threads.entries.map((e) => [e.path, e.name, e.created_at.slice(0, 4)]),
    [
      [T, "renamed", "2026"],
      ["b", "two", "2026"],
    ],
  );
  state = play([{ type: "thread.opening", path: T }, agent("thread.deleted", { path: T })], state);
  assert.deepEqual([state.thread, state.wanted, state.threads.entries.length], [null, null, 1]);
});

test("threads are grouped by day", () => {
  const now = new Date(2026, 5, 15, 12).getTime();
  const at = (days) => ({
    path: String(days),
    name: "x",
    created_at: "",
    modified_at: new Date(now - days * 86_400_000).toISOString(),
  });
  const groups = select.threadGroups([at(40), at(0), at(1), at(3), at(0.1)], now);
  assert.deepEqual(
    groups.map((g) => [g.label, g.entries.map((e) => e.path)]),
    [
      ["Today", ["0", "0.1"]],
      ["Yesterday", ["1"]],
      ["Last 7 days", ["3"]],
      ["Earlier", ["40"]],
    ],
  );
});

test("models: the thread's, the chosen, the default; the scripted one is named", () => {
  const providers = [
    {
      name: "openai",
      friendly_name: "Codex",
      backend: "codex",
      default_model: "a",
      models: [{ name: "a" }, { name: "b" }],
    },
    { name: "scripted", friendly_name: "scripted model", backend: "codex", models: [{ name: "s" }] },
  ];
  let state = play([...online, agent("models.response", { providers })]);
  assert.equal(select.currentModel(state).model, "a");
  assert.deepEqual(select.wish(state), {});
  state = play(
    [
      { type: "thread.opening", path: T },
      agent("model.changed", { thread_id: T, backend: "codex", provider: "scripted", model: "s" }),
    ],
    state,
  );
  assert.equal(select.currentModel(state).scripted, true);
  state = play([{ type: "choice", choice: { backend: "codex", provider: "openai", model: "b" } }], state);
  assert.equal(select.currentModel(state).model, "b");
  assert.equal(select.wish(state).model, "b");
  const both = play([
    ...online,
    agent("models.response", {
      providers: [...providers, { name: "openai", backend: "llm", models: [{ name: "a" }] }],
    }),
  ]);
  assert.deepEqual(select.wish(both), { backend: "codex", provider: "openai", model: "a" });
});

test("a message counts once", () => {
  const seen = new Seen();
  assert.deepEqual(
    [seen.before("a"), seen.before("a"), seen.before("b"), seen.before(undefined)],
    [false, true, false, false],
  );
});

const many = (from, count) =>
  Array.from({ length: count }, (_, n) => ({ path: `t${from + n}`, name: `${from + n}`, modified_at: "2026-01-01" }));

test("the list grows page by page, without repeating what moved", () => {
  let state = play([...online, agent("thread.listed", { threads: many(0, 200), offset: 0, total: 450 })]);
  assert.deepEqual([state.threads.entries.length, state.threads.total], [200, 450]);
  state = play([agent("thread.listed", { threads: many(199, 200), offset: 200, total: 450 })], state);
  assert.equal(state.threads.entries.length, 399);
  assert.equal(new Set(state.threads.entries.map((e) => e.path)).size, 399);
  state = play([agent("thread.created", { thread: { path: "new", name: "n" } })], state);
  assert.deepEqual([state.threads.entries.length, state.threads.total], [400, 451]);
  state = play([agent("thread.deleted", { path: "new" })], state);
  assert.equal(state.threads.total, 450);
  state = play([agent("thread.listed", { threads: [], offset: 399, total: 450 })], state);
  assert.equal(state.threads.total, 399, "an empty page is the end");
});

test("a thread that is not sent is late until something of it comes", () => {
  let state = play([...online, { type: "thread.opening", path: T }, { type: "thread.late", path: "other" }]);
  assert.equal(state.thread.late, false);
  state = play([{ type: "thread.late", path: T }], state);
  assert.equal(state.thread.late, true);
  state = play([agent("thread.status", { thread_id: T })], state);
  assert.deepEqual([state.thread.late, state.thread.loading], [false, true]);
  state = play([agent("thread.loaded", { thread_id: T }), { type: "thread.late", path: T }], state);
  assert.equal(state.thread.late, false);
});

test("an answered secret is asked no more, and one that waits survives a reconnect", () => {
  const asked = (id) => agent("secret.requested", { thread_id: T, turn_id: "U", request_id: id, secret_name: "KEY" });
  let state = play([...online, { type: "thread.opening", path: T }, asked("q"), asked("r")]);
  state = play([{ type: "secret.answered", id: "q" }, { type: "thread.opening", path: T }], state);
  assert.deepEqual(state.thread.secrets.map((secret) => secret.id), ["r"]);
});

test("an agent with one thread for everybody has no others", () => {
  const attributes = { ...bot.attributes, "meshagent.chatbot.thread-path": T };
  const joined = (more) => room({ type: "participants", participants: [{ ...bot, attributes: { ...attributes, ...more } }] });
  const state = play([...online, joined({})]);
  assert.equal(select.onlyThread(state), T);
  assert.equal(select.nextInput(state).kind, "wait");
  assert.equal(select.onlyThread(play([joined({ "meshagent.chatbot.threading": "default-new" })], state)), null);
  assert.equal(select.onlyThread(play(online)), null);
});
