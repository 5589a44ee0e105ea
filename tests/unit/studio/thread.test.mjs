import assert from "node:assert/strict";
import { test } from "node:test";

import { costOf } from "../../../process_agent/studio/static/model/extras.js";
import { LOG_LIMIT } from "../../../process_agent/studio/static/model/items.js";
import { askedOlder } from "../../../process_agent/studio/static/model/older.js";
import { newThread, reduceThread } from "../../../process_agent/studio/static/model/thread.js";
import { begin, content, message, play, START, T, tool } from "./playing.mjs";

test("the worked example of the protocol page", () => {
  const thread = play([
    ["turn.start", { message_id: "M", content }],
    ...begin,
    ["thread.status", { turn_id: "U", status: "Thinking", mode: "steerable" }],
    ["tool_call.started", { ...tool, arguments: { command: "pytest -q" } }],
    ["tool_call.log_delta", { ...tool, lines: [{ source: "stdout", text: "1 failed" }] }],
    [
      "tool_call.ended",
      { ...tool, result: { type: "json", json: { stdout: "1 failed", stderr: "", exit_code: 1 } } },
    ],
    ["text_content.started", { turn_id: "U", item_id: "i2", phase: "final_answer" }],
    ["text_content.delta", { turn_id: "U", item_id: "i2", text: "Fixed " }],
    ["text_content.delta", { turn_id: "U", item_id: "i2", text: "it." }],
    ["text_content.ended", { turn_id: "U", item_id: "i2" }],
    [
      "usage.updated",
      {
        turn_id: "U",
        usage: { input_tokens: 1200, output_tokens: 80 },
        context_window: { used_tokens: 1280, total_tokens: 400000 },
      },
    ],
    ["turn.ended", { turn_id: "U" }],
    ["thread.status", {}],
  ]);
  assert.deepEqual(thread.pending, []);
  assert.equal(thread.status, null);
  assert.deepEqual(thread.context, { used: 1280, total: 400000, compactsAt: null });
  const [turn] = thread.turns;
  assert.deepEqual(
    [turn.state, turn.outcome, turn.usage],
    ["ended", "completed", { input: 1200, output: 80 }],
  );
  const [user, shell, text] = turn.items;
  assert.deepEqual([user.kind, user.content, user.sender], ["user", content, "ana"]);
  assert.deepEqual(
    [shell.state, shell.args.command, shell.log],
    ["failed", "pytest -q", [{ source: "stdout", text: "1 failed" }]],
  );
  assert.equal(shell.endedAt - shell.startedAt, 200);
  assert.deepEqual([text.text, text.done, text.phase], ["Fixed it.", true, "final_answer"]);
});

test("the text is the concatenation of its deltas; a second start begins anew", () => {
  const pieces = ["a", "", "bc ", "\n", "ö😀"];
  const deltas = pieces.map((text) => ["text_content.delta", { turn_id: "U", item_id: "i", text }]);
  const twice = [...begin, ...deltas, ["text_content.started", { turn_id: "U", item_id: "i" }], ...deltas];
  assert.equal(play(twice).turns[0].items.at(-1).text, pieces.join(""));
});

test("replaying a turn after its live form changes nothing but times", () => {
  const events = [
    ...begin,
    ["text_content.started", { turn_id: "U", item_id: "i" }],
    ["text_content.delta", { turn_id: "U", item_id: "i", text: "x" }],
    ["turn.ended", { turn_id: "U" }],
  ];
  const once = play(events);
  const again = play(events, once);
  assert.equal(again.turns.length, 1);
  assert.equal(again.turns[0].items.length, once.turns[0].items.length);
  assert.deepEqual(again.pending, []);
});

test("a reducer changes nothing in place, and only what the message is about", () => {
  const before = play([...begin, ["text_content.delta", { turn_id: "U", item_id: "a", text: "x" }]]);
  const frozen = structuredClone(before);
  const after = play([["text_content.delta", { turn_id: "U", item_id: "b", text: "y" }]], before);
  assert.deepEqual(before, frozen);
  assert.equal(after.turns[0].items[1], before.turns[0].items[1]);
  assert.equal(reduceThread(before, message("no.such.type", {}), START), before);
});

test("output has a limit and says what was dropped", () => {
  const line = { source: "stdout", text: "x".repeat(1000) };
  const events = Array.from({ length: 250 }, () => ["tool_call.log_delta", { ...tool, lines: [line] }]);
  const item = play([...begin, ...events]).turns[0].items[1];
  assert.equal(item.log.map((piece) => piece.text).join("").length, LOG_LIMIT);
  assert.equal(item.logCut, 50_000);
});

test("side events of other agents show up", () => {
  const thread = play([
    ...begin,
    ["thread.event", { event: { type: "codex_reasoning_delta", turn_id: "U", item_id: "r", text: "hm" } }],
    [
      "thread.event",
      {
        event: {
          type: "agent.event",
          headline: "Retrying",
          summary: "rate limit",
          turn_id: "U",
          correlation_key: "k",
          state: "in_progress",
        },
      },
    ],
    [
      "thread.event",
      {
        event: {
          type: "agent.event",
          headline: "Gave up",
          details: ["quota"],
          turn_id: "U",
          correlation_key: "k",
          state: "failed",
        },
      },
    ],
    [
      "image_generation.completed",
      { turn_id: "U", item_id: "g", images: [{ uri: "data:image/png;base64,AA" }] },
    ],
    ["model.changed", { backend: "llm", provider: "openai", model: "m" }],
  ]);
  assert.deepEqual(
    thread.turns[0].items.map((item) => item.kind),
    ["user", "reasoning", "notice", "image"],
  );
  assert.deepEqual([thread.turns[0].items[2].text, thread.turns[0].items[2].level], ["Gave up", "error"]);
  assert.deepEqual(thread.model, { backend: "llm", provider: "openai", model: "m" });
});

test("a thousand turns replay in a moment", () => {
  const events = [];
  for (let n = 0; n < 1000; n += 1) {
    const id = { source_message_id: `m${n}`, turn_id: `u${n}`, content };
    events.push(
      ["turn.start", { message_id: `m${n}`, content }],
      ["turn.start.accepted", id],
      ["turn.started", id],
    );
    for (let k = 0; k < 8; k += 1)
      events.push(["text_content.delta", { turn_id: `u${n}`, item_id: `i${k}`, text: "x" }]);
    events.push(["turn.ended", { turn_id: `u${n}` }]);
  }
  const started = performance.now();
  const thread = play(events);
  assert.equal(thread.turns.length, 1000);
  assert.ok(performance.now() - started < 2500);
});

const png = (n) => ({ uri: `data:image/png;base64,${n}`, mime_type: "image/png", width: 4, height: 3 });
const itemOf = (thread) => thread.turns[0].items.at(-1);

test("an image grows until it is there, and late partial ones change nothing", () => {
  const image = { turn_id: "U", item_id: "g" };
  let thread = play([...begin, ["image_generation.started", image]]);
  assert.equal(itemOf(thread).state, "running");
  thread = play([["image_generation.partial", { ...image, image: png("AA") }]], thread);
  assert.equal(itemOf(thread).partial.uri, png("AA").uri);
  thread = play([["image_generation.completed", { ...image, images: [png("BB"), png("CC")] }]], thread);
  thread = play([["image_generation.partial", { ...image, image: png("DD") }]], thread);
  assert.deepEqual(itemOf(thread).images, [png("BB"), png("CC")]);
  assert.deepEqual([itemOf(thread).partial, itemOf(thread).state], [null, "done"]);
  const other = play([...begin, ["image_generation.failed", { ...image, error: { message: "no" } }]]);
  assert.deepEqual([itemOf(other).state, itemOf(other).error], ["failed", "no"]);
  const cut = play([...begin, ["image_generation.started", image], ["turn.ended", { turn_id: "U" }]]);
  assert.equal(itemOf(cut).state, "stopped");
});

test("arguments are kept while they are written, and gone when they are there", () => {
  const call = { turn_id: "U", item_id: "c", toolkit: "codex", tool: "shell" };
  let thread = play([
    ...begin,
    ["tool_call.arguments_delta", { ...call, delta: '{"command":' }],
    ["tool_call.arguments_delta", { ...call, delta: '"ls"}' }],
  ]);
  assert.deepEqual([itemOf(thread).tool, itemOf(thread).argsText], ["shell", '{"command":"ls"}']);
  thread = play([["tool_call.started", { ...call, arguments: { command: "ls" } }]], thread);
  assert.deepEqual([itemOf(thread).args, itemOf(thread).argsText], [{ command: "ls" }, ""]);
});

test("compaction empties the meter and says so in the turn, or in the last one", () => {
  const usage = { turn_id: "U", usage: { input_tokens: 5 }, context_window: { used_tokens: 9, total_tokens: 10 } };
  const own = { metadata: { process: { automatic: false, summary: "We talked." } } };
  let thread = play([...begin, ["usage.updated", usage], ["context.compacted", { turn_id: "U", ...own }]]);
  assert.equal(thread.context, null);
  assert.equal(itemOf(thread).text, "The model's memory of this thread was shortened.");
  assert.equal(itemOf(thread).detail, "We talked.");
  thread = play([["turn.ended", { turn_id: "U" }], ["context.compacted", {}]], thread);
  assert.match(itemOf(thread).text, /was full/);
});

test("clearing forgets what is over, and keeps what runs or waits", () => {
  const thread = play([
    ...begin,
    ["turn.ended", { turn_id: "U" }],
    ["turn.start.accepted", { source_message_id: "N", turn_id: "V", content, sender_name: "ana" }],
    ["turn.started", { source_message_id: "N", turn_id: "V", content }],
    ["turn.start.accepted", { source_message_id: "O", turn_id: "W", content, sender_name: "ana" }],
    ["thread.cleared", { source_message_id: "c" }],
  ]);
  assert.deepEqual(thread.turns.map((turn) => turn.id), ["V"]);
  assert.deepEqual(thread.pending.map((entry) => entry.id), ["O"]);
  assert.equal(thread.path, T);
});

test("secrets are asked once and forgotten with their turn", () => {
  const asked = { turn_id: "U", request_id: "q", secret_name: "API_KEY", prompt: "Of the weather" };
  let thread = play([...begin, ["secret.requested", asked], ["secret.requested", asked]]);
  assert.equal(thread.secrets.length, 1);
  assert.deepEqual(thread.secrets[0], {
    id: "q",
    turnId: "U",
    name: "API_KEY",
    prompt: "Of the weather",
    login: null,
    redirect: null,
  });
  thread = play([["turn.ended", { turn_id: "U" }]], thread);
  assert.deepEqual(thread.secrets, []);
});

test("the cost of turns is added up where it is known", () => {
  const used = (turn, cost) => [
    "usage.updated",
    { turn_id: turn, usage: { input_tokens: 5 }, context_window: {}, metadata: { process: { cost } } },
  ];
  const start = (turn) => ["turn.started", { source_message_id: `M${turn}`, turn_id: turn, content }];
  const thread = play([start("U"), used("U", 0.25), start("V"), used("V"), start("W"), used("W", 0.5)]);
  assert.equal(costOf(thread), 0.75);
  assert.equal(costOf(newThread(T)), null);
});

test("a page of earlier turns comes first, whatever goes on meanwhile", () => {
  const at = (second, type, fields) => ({
    ...message(type, fields),
    created_at: new Date(START + 1_000_000 + second * 1000).toISOString(),
  });
  const turn = (second, id) => [
    at(second, "turn.started", { source_message_id: `m${id}`, turn_id: id, content }),
    at(second + 1, "text_content.delta", { turn_id: id, item_id: `t${id}`, text: id }),
  ];
  const feed = (thread, messages) => messages.reduce((t, m) => reduceThread(t, m, START), thread);
  let thread = feed(newThread(T, { loading: true }), [
    ...turn(10, "B"),
    at(12, "turn.ended", { turn_id: "B" }),
    at(13, "thread.loaded", { source_message_id: "o", metadata: { process: { older: "c1" } } }),
  ]);
  assert.equal(thread.older, "c1");
  thread = askedOlder(thread, "page", newThread(T));
  thread = feed(thread, [
    ...turn(1, "A"),
    at(2, "model.changed", { model: "old" }),
    at(3, "turn.start.accepted", { source_message_id: "mB", turn_id: "B", content }),
    ...turn(20, "C"),
    at(4, "turn.ended", { turn_id: "A" }),
    at(5, "turn.started", { source_message_id: "mX", turn_id: "X", content }),
  ]);
  assert.deepEqual(
    thread.turns.map((t) => t.id),
    ["B", "C"],
  );
  thread = feed(thread, [at(21, "thread.loaded", { source_message_id: "page" })]);
  assert.deepEqual(
    thread.turns.map((t) => [t.id, t.state]),
    [
      ["A", "ended"],
      ["X", "ended"],
      ["B", "ended"],
      ["C", "running"],
    ],
  );
  assert.deepEqual([thread.older, thread.olderPage, thread.model, thread.pending], [null, null, null, []]);
});
