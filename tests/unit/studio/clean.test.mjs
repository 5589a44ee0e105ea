import assert from "node:assert/strict";
import { test } from "node:test";

import { ITEM_RULES } from "../../../process_agent/studio/static/model/items.js";
import * as select from "../../../process_agent/studio/static/model/select.js";
import { INITIAL, reduce } from "../../../process_agent/studio/static/model/state.js";
import { cleanMessage } from "../../../process_agent/studio/static/protocol/clean.js";
import { output, summarise } from "../../../process_agent/studio/static/text/tool_summary.js";

const T = "dataset://agents/bot/threads/1";
const TYPES = [
  ...Object.keys(ITEM_RULES),
  ...["turn.start", "turn.steer", "turn.start.accepted", "turn.started", "turn.steered", "turn.ended"],
  ...[
    "turn.start.rejected",
    "turn.interrupted",
    "thread.status",
    "thread.loaded",
    "thread.event",
    "thread.listed",
  ],
  ...[
    "thread.created",
    "thread.updated",
    "thread.deleted",
    "thread.started",
    "models.response",
    "model.changed",
  ],
  ...["usage.updated", "secret.requested", "thread.start.rejected", "context.compacted", "no.such.type"],
];
const NAMES = [
  ...[
    "text",
    "delta",
    "phase",
    "content",
    "lines",
    "arguments",
    "result",
    "error",
    "usage",
    "context_window",
  ],
  ...[
    "metadata",
    "event",
    "images",
    "thread",
    "threads",
    "providers",
    "url",
    "toolkit",
    "tool",
    "status",
    "offset",
  ],
  ...[
    "sender_name",
    "message_id",
    "source_message_id",
    "created_at",
    "started_at",
    "path",
    "model",
    "backend",
  ],
];

/** A repeatable source of chance. */
function dice(seed) {
  let value = seed;
  return (sides) => {
    value = (value * 1103515245 + 12345) % 2147483648;
    return Math.floor((value / 2147483648) * sides);
  };
}

function anything(roll, depth = 0) {
  const keys = [
    "type",
    "text",
    "url",
    "name",
    "models",
    "path",
    "process",
    "approval",
    "json",
    "plan",
    "step",
    "diff",
  ];
  const simple = [
    null,
    true,
    0,
    -1,
    1e400,
    "",
    "text",
    "json",
    "diff --git a/x b/x\n@@ -1 +1 @@\n-a\n+b\n",
    "2026-01-01",
    "\ud800",
  ];
  const kind = depth > 3 ? 0 : roll(4);
  if (kind < 2) return simple[roll(simple.length)];
  if (kind === 2) return Array.from({ length: roll(3) }, () => anything(roll, depth + 1));
  return Object.fromEntries(
    Array.from({ length: roll(4) }, () => [keys[roll(keys.length)], anything(roll, depth + 1)]),
  );
}

test("good messages pass as they are", () => {
  const good = {
    type: "meshagent.agent.turn.started",
    message_id: "m",
    thread_id: T,
    content: [{ type: "text", text: "hi" }],
    metadata: { process: { reason: "lost", approval: { accepted: true, by: "ana" } } },
    error: { message: "m", code: "c" },
  };
  assert.deepEqual(cleanMessage(good), good);
  const { error: _, ...rest } = good;
  assert.deepEqual(cleanMessage({ ...good, error: null, unknown: 1 }), rest);
});

test("what is no message is none", () => {
  for (const body of [null, undefined, 5, "x", [], {}, { type: 5 }]) assert.equal(cleanMessage(body), null);
});

test("parts that cannot be shown are left out", () => {
  const cleaned = cleanMessage({
    type: "x",
    content: [5, { type: "text" }, { type: "audio", url: "u" }, { type: "text", text: "t" }],
  });
  assert.deepEqual(cleaned?.content, [
    { type: "file", url: "u", name: null },
    { type: "text", text: "t" },
  ]);
});

test("whatever an agent sends, the page keeps its footing", () => {
  const roll = dice(7);
  let state = reduce(INITIAL, { type: "thread.opening", path: T });
  for (let n = 0; n < 20_000; n += 1) {
    const fields = Object.fromEntries(
      Array.from({ length: roll(6) }, () => [NAMES[roll(NAMES.length)], anything(roll)]),
    );
    const turn = { turn_id: `u${roll(3)}`, item_id: `i${roll(4)}`, thread_id: T };
    const type = `meshagent.agent.${TYPES[roll(TYPES.length)]}`;
    const message = cleanMessage({ ...fields, ...turn, type });
    state = reduce(state, { type: "agent", message, at: n });
    if (n % 50 === 0) check(state);
    state = state.thread ? state : reduce(state, { type: "thread.opening", path: T });
  }
});

function check(state) {
  select.modelOptions(state);
  select.currentModel(state);
  select.nextInput(state);
  select.threadGroups(state.threads.entries, 0);
  for (const turn of state.thread?.turns ?? []) {
    for (const item of turn.items) {
      if (item.kind === "text" || item.kind === "reasoning") assert.equal(typeof item.text, "string");
      if (item.kind === "user")
        assert.ok(item.content.every((part) => part.text !== undefined || part.url !== undefined));
      if (item.kind !== "tool") continue;
      assert.equal(typeof summarise(item).title, "string");
      assert.ok(output(item).every((piece) => typeof piece.text === "string"));
    }
  }
}
