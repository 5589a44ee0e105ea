// What a tool call is about, in one line.
import assert from "node:assert/strict";
import { test } from "node:test";

import {
  commandText,
  diffFiles,
  output,
  summarise,
  writtenText,
} from "../../../process_agent/studio/static/text/tool_summary.js";
import { writtenTexts } from "../../../process_agent/studio/static/text/written.js";

const tool = (fields) => ({
  kind: "tool",
  toolkit: "codex",
  tool: "shell",
  args: {},
  log: [],
  result: null,
  ...fields,
});

test("a patch and a command are shown while the model writes them", () => {
  const patch = "*** Begin Patch\n*** Add File: docs/new.md\n+one\n+t\u00e4\n*** Update File: b.py\n@@\n-old\n+ne";
  const argsText = JSON.stringify({ input: patch }).slice(0, -2);
  const item = tool({ tool: "apply_patch", argsText, state: "running" });
  const line = summarise(item);
  assert.deepEqual([line.kind, line.title], ["edit", "Writing b.py and 1 other file"]);
  assert.deepEqual(line.counts, { added: 3, removed: 1 });
  assert.ok(writtenText(item).endsWith("-old\n+ne"));
  assert.equal(summarise({ ...item, argsText: '{"inp' }).title, "Writing a patch");
  const asked = { ...item, args: {}, approval: { state: "asked", questions: [] } };
  assert.equal(summarise(asked).title, "Edit files", "nobody is asked about half of it");
  const command = tool({ argsText: '{"command":"pytest -q te', state: "running" });
  assert.deepEqual([summarise(command).title, writtenText(command)], ["Writing a command", "pytest -q te"]);
  assert.deepEqual(writtenTexts('{"a": "1\\', ), { a: "1" });
  assert.deepEqual(writtenTexts('{"a": "1", "b": 2, "c": "3"}'), { a: "1" });
  assert.deepEqual(writtenTexts('{"a": "\\ud83d'), { a: "" });
});

test("tool calls in one line", () => {
  const line = (fields) => summarise(tool(fields));
  assert.deepEqual(
    [
      line({ args: { command: "/bin/bash -lc 'pytest -q'" } }).title,
      line({ args: { command: ["bash", "-lc", "ls"] } }).title,
    ],
    ["pytest -q", "ls"],
  );
  assert.equal(line({ args: { command: "cat <<EOF\nx\nEOF" } }).title, "cat <<EOF …");
  assert.equal(
    line({ args: { command: "x" }, result: { type: "json", json: { exit_code: 2 } } }).exitCode,
    2,
  );
  const patch = "diff --git a/x b/x\nnew file mode 100644\n@@ -0,0 +1 @@\n+hi\n";
  assert.deepEqual(line({ tool: "apply_patch", args: { patch } }), {
    kind: "edit",
    code: false,
    exitCode: null,
    title: "Created x",
    counts: { added: 1, removed: 0 },
  });
  for (const state of ["asked", "answering", "declined", "lapsed"]) {
    const approval = { state, questions: [] };
    assert.equal(line({ tool: "apply_patch", args: { patch }, approval }).title, "Create x", state);
  }
  const approval = { state: "approved", questions: [] };
  assert.equal(line({ tool: "apply_patch", args: { patch }, approval }).title, "Created x");
  assert.equal(line({ tool: "diff_updated", args: { diff: patch } }).kind, "diff");
  assert.equal(
    line({
      tool: "plan",
      args: {
        plan: [
          { step: "a", status: "inProgress" },
          { step: "b", status: "completed" },
        ],
      },
    }).title,
    "Plan · 1 of 2 steps done",
  );
  assert.equal(line({ tool: "web_search", args: { query: "q" } }).title, "Searched the web for q");
  assert.equal(line({ toolkit: "library", tool: "lookup" }).title, "library · lookup");
  assert.deepEqual(
    [
      line({ tool: "warning", args: { message: "careful" } }).kind,
      line({ tool: "warning", args: { message: "careful" } }).title,
    ],
    ["notice", "careful"],
  );
});

test("arguments of odd shapes break nothing", () => {
  for (const value of [null, 5, [], {}, [null], { a: 1 }, "", true]) {
    for (const name of ["command", "patch", "diff", "changes", "plan", "query", "message", "operation"]) {
      for (const kind of ["shell", "apply_patch", "diff_updated", "plan", "web_search", "x"]) {
        const item = tool({ tool: kind, args: { [name]: value }, result: { type: "json", json: value } });
        assert.equal(typeof summarise(item).title, "string");
        output(item);
      }
    }
  }
});

test("file changes in Codex's own shape", () => {
  const changes = [
    { path: "a", kind: { type: "add" }, diff: "one\ntwo\n" },
    { path: "b", kind: { type: "update" }, diff: "@@ -1 +1 @@\n-x\n+y\n" },
    { path: "c", kind: { type: "delete" }, diff: "gone\n" },
  ];
  const files = diffFiles(tool({ tool: "apply_patch", args: { changes } }));
  assert.deepEqual(
    files.map((f) => [f.path, f.change, f.added, f.removed]),
    [
      ["a", "added", 2, 0],
      ["b", "modified", 1, 1],
      ["c", "deleted", 0, 1],
    ],
  );
});

test("quotes inside wrapped commands come back", () => {
  assert.equal(commandText(tool({ args: { command: `/bin/sh -c 'echo '"'"'hi'"'"''` } })), "echo 'hi'");
  assert.equal(commandText(tool({ args: { cmd: "plain" } })), "plain");
});
