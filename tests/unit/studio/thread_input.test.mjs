// What people put into a thread: messages, steers, decisions, answers.
import assert from "node:assert/strict";
import { test } from "node:test";

import { runningTurn } from "../../../process_agent/studio/static/model/thread.js";
import { begin, content, message, play, tool } from "./playing.mjs";

test("input waits until its turn takes it up", () => {
  let thread = play([
    ...begin,
    ["turn.start.accepted", { source_message_id: "N", turn_id: "V", content, sender_name: "bob" }],
  ]);
  assert.deepEqual(
    thread.pending.map((p) => [p.id, p.kind, p.state, p.turnId]),
    [["N", "turn", "queued", "V"]],
  );
  thread = play([["turn.ended", { turn_id: "U" }]], thread);
  assert.equal(thread.pending.length, 1);
  thread = play([["turn.started", { source_message_id: "N", turn_id: "V" }]], thread);
  assert.deepEqual(thread.pending, []);
  assert.deepEqual(thread.turns[1].items[0].content, content);
  assert.equal(runningTurn(thread).id, "V");
});

test("a steer becomes part of its turn, or says that it came too late", () => {
  const steer = (id) => ["turn.steer", { message_id: id, turn_id: "U", content }];
  const taken = play([...begin, steer("S"), ["turn.steered", { source_message_id: "S", turn_id: "U" }]]);
  assert.deepEqual(taken.pending, []);
  assert.deepEqual([taken.turns[0].items[1].steer, taken.turns[0].items[1].content], [true, content]);
  const late = play([...begin, steer("S"), ["turn.ended", { turn_id: "U" }]]);
  assert.equal(late.pending[0].state, "failed");
  const refused = play([
    ...begin,
    steer("S"),
    [
      "turn.steer.rejected",
      { source_message_id: "S", turn_id: "U", error: { message: "no", code: "turn_ended" } },
    ],
  ]);
  assert.equal(refused.pending[0].error, "no");
});

test("a refused steer of long ago, whose text is kept nowhere, leaves no empty bubble", () => {
  const source = { source_message_id: "S", turn_id: "U" };
  const error = { message: "no active turn to steer", code: "turn_ended" };
  const seen = play([
    ...begin,
    ["turn.steer.accepted", source],
    ["turn.steer.rejected", { ...source, error }],
    ["turn.ended", { turn_id: "U" }],
  ]);
  assert.deepEqual(seen.pending, []);
});

test("how turns end", () => {
  const outcome = (...events) => play([...begin, ...events]).turns[0].outcome;
  assert.equal(outcome(["turn.ended", { turn_id: "U" }]), "completed");
  assert.equal(
    outcome(["turn.interrupted", { turn_id: "U" }], ["turn.ended", { turn_id: "U" }]),
    "interrupted",
  );
  assert.equal(
    outcome(["turn.ended", { turn_id: "U", error: { message: "turn cancelled", code: "cancelled" } }]),
    "interrupted",
  );
  assert.equal(outcome(["turn.ended", { turn_id: "U", error: { message: "quota", code: "x" } }]), "failed");
  assert.equal(outcome(["turn.ended", { turn_id: "U", metadata: { process: { reason: "lost" } } }]), "lost");
  const stopped = play([
    ...begin,
    ["tool_call.started", { ...tool, arguments: {} }],
    ["turn.ended", { turn_id: "U" }],
  ]);
  assert.equal(stopped.turns[0].items[1].state, "stopped");
});

test("an approval is asked, given and remembered", () => {
  const asked = [
    ...begin,
    ["tool_call.started", { ...tool, arguments: { command: "rm x", patch: "p" } }],
    [
      "tool_call.approval_requested",
      { ...tool, arguments: { grant_root: "/" }, metadata: { process: { approval_reason: "why" } } },
    ],
  ];
  const item = (thread) => thread.turns[0].items[1];
  let thread = play(asked);
  const plain = { text: "", decisions: [], questions: [], number: 0, approvers: [] };
  assert.deepEqual(item(thread).approval, { ...plain, state: "asked", reason: "why", by: null });
  assert.deepEqual(item(thread).args, { command: "rm x", patch: "p", grant_root: "/" });
  const decided = (accepted) => [
    [
      "tool_call.log_delta",
      {
        ...tool,
        lines: [{ source: "stdout", text: "Approved by bob\n" }],
        metadata: { process: { approval: { accepted, by: "bob" } } },
      },
    ],
  ];
  assert.deepEqual(item(play(decided(true), thread)).approval, {
    ...plain,
    text: "Approved by bob",
    state: "approved",
    reason: "why",
    by: "bob",
  });
  thread = play(
    [...decided(false), ["tool_call.ended", { ...tool, error: { message: "Declined", code: "declined" } }]],
    thread,
  );
  assert.deepEqual(
    [item(thread).approval.state, item(thread).approval.by, item(thread).state],
    ["declined", "bob", "failed"],
  );
  assert.deepEqual(item(thread).log, []);
  assert.equal(item(play([["turn.ended", { turn_id: "U" }]], play(asked))).approval.state, "lapsed");
});

test("what a rule decided shows without a question, and words for clients without cards do not", () => {
  const words = { turn_id: "U", item_id: "notice:approval:1", text: "asks to run a command" };
  const thread = play([
    ...begin,
    ["tool_call.started", { ...tool, arguments: { command: "rm x" } }],
    ["text_content.started", words],
    ["text_content.delta", words],
    ["text_content.ended", { turn_id: "U", item_id: "notice:approval:1" }],
    [
      "tool_call.log_delta",
      {
        ...tool,
        lines: [{ source: "stdout", text: "Approved by --approvals auto\n" }],
        metadata: { process: { approval: { accepted: true, by: "--approvals auto" } } },
      },
    ],
  ]);
  assert.deepEqual(
    thread.turns[0].items.map((item) => item.kind),
    ["user", "tool"],
  );
  assert.equal(thread.turns[0].items[1].approval.text, "Approved by --approvals auto");
  assert.equal(thread.turns[0].items[1].approval.state, "approved");
});

test("a question has its options, and what can be decided", () => {
  const questions = [{ id: "q", text: "Which?", options: [{ label: "Red" }], free: false }];
  const decisions = ["accept", "decline", "cancel"];
  const thread = play([
    ...begin,
    ["tool_call.approval_requested", { ...tool, metadata: { process: { questions, decisions } } }],
  ]);
  const { approval } = thread.turns[0].items[1];
  assert.deepEqual(approval.decisions, decisions);
  assert.deepEqual(approval.questions, [
    {
      id: "q",
      header: "",
      text: "Which?",
      options: [{ label: "Red", description: "" }],
      free: false,
      several: false,
      required: true,
      kind: "text",
    },
  ]);
});
