import assert from "node:assert/strict";
import { test } from "node:test";

import { parseAnsi } from "../../../process_agent/studio/static/text/ansi.js";
import { LINE_LIMIT, parseDiff, totals } from "../../../process_agent/studio/static/text/diff.js";
import { duration, plural, shorten, tokens, visible } from "../../../process_agent/studio/static/text/format.js";
import { highlight } from "../../../process_agent/studio/static/text/highlight.js";
import { markdownBlocks } from "../../../process_agent/studio/static/text/markdown.js";
import { subjectOf } from "../../../process_agent/studio/static/text/tool_summary.js";

const UNIFIED = `diff --git a/src/a.py b/src/a.py
index 1..2 100644
--- a/src/a.py
+++ b/src/a.py
@@ -1,3 +1,4 @@ def f():
 one
-two
+zwei
+drei
 four
@@ -20 +21 @@
--- not a header
+++ not a header
diff --git a/old.txt b/new name.txt
rename from old.txt
rename to new name.txt
diff --git a/gone b/gone
deleted file mode 100644
--- a/gone
+++ /dev/null
@@ -1 +0,0 @@
-bye
\\ No newline at end of file
diff --git a/fresh b/fresh
new file mode 100644
--- /dev/null
+++ b/fresh
@@ -0,0 +1 @@
+hi
`;

test("a unified diff: files, kinds, line numbers, counts", () => {
  const files = parseDiff(UNIFIED);
  assert.deepEqual(
    files.map((f) => [f.path, f.change, f.added, f.removed]),
    [
      ["src/a.py", "modified", 3, 2],
      ["new name.txt", "renamed", 0, 0],
      ["gone", "deleted", 0, 1],
      ["fresh", "added", 1, 0],
    ],
  );
  assert.equal(files[1].from, "old.txt");
  assert.deepEqual(totals(files), { added: 4, removed: 3 });
  const lines = files[0].lines;
  assert.deepEqual(lines[1], { kind: "del", text: "two", before: 2, after: null });
  assert.deepEqual(lines[2], { kind: "add", text: "zwei", before: null, after: 2 });
  assert.deepEqual(lines[4], { kind: "same", text: "four", before: 3, after: 4 });
  assert.equal(lines[5].kind, "gap");
  assert.deepEqual(lines[6], { kind: "del", text: "-- not a header", before: 20, after: null });
});

test("a diff without git headers, and one that is not finished", () => {
  const [file] = parseDiff("--- a/x\n+++ b/x\n@@ -1,9 +1,9 @@\n a\n-b\n");
  assert.deepEqual([file.path, file.removed, file.lines.length], ["x", 1, 2]);
  assert.deepEqual(parseDiff(""), []);
  assert.deepEqual(parseDiff("just words\n"), []);
});

test("hunks without numbers end at the next file", () => {
  const files = parseDiff("diff --git a/x b/x\n@@\n-a\n+b\ndiff --git a/y b/y\n@@\n+c\n");
  assert.deepEqual(
    files.map((f) => [f.path, f.added, f.removed]),
    [
      ["x", 1, 1],
      ["y", 1, 0],
    ],
  );
  assert.equal(files[0].lines[0].before, null);
});

test("the apply_patch format", () => {
  const files = parseDiff(
    "*** Begin Patch\n*** Add File: a.txt\n+hi\n*** Update File: b.py\n*** Move to: c.py\n@@ def f\n one\n-two\n+2\n*** Delete File: d\n*** End Patch\n",
  );
  assert.deepEqual(
    files.map((f) => [f.path, f.change, f.added, f.removed]),
    [
      ["a.txt", "added", 1, 0],
      ["c.py", "renamed", 1, 1],
      ["d", "deleted", 0, 0],
    ],
  );
});

test("long files are cut and counted whole", () => {
  const body = "+x\n".repeat(LINE_LIMIT + 10);
  const [file] = parseDiff(`diff --git a/x b/x\n@@ -0,0 +1,${LINE_LIMIT + 10} @@\n${body}`);
  assert.deepEqual([file.lines.length, file.cut, file.added], [LINE_LIMIT, 10, LINE_LIMIT + 10]);
});

test("colours are kept, other control sequences are not", () => {
  assert.deepEqual(parseAnsi("plain"), [{ text: "plain", style: "" }]);
  assert.deepEqual(parseAnsi("\x1b[1;31mred\x1b[0m x"), [
    { text: "red", style: "ansi-bold ansi-red" },
    { text: " x", style: "" },
  ]);
  assert.deepEqual(parseAnsi("\x1b[38;5;12ma\x1b[2Kb\x1b]0;title\x07c\x07"), [{ text: "abc", style: "" }]);
  assert.deepEqual(parseAnsi("10%\r50%\r100%\r\nend"), [{ text: "100%\nend", style: "" }]);
});

test("highlighting loses nothing", () => {
  const code = 'def f(x):  # "no string"\n    """doc\n    """\n    return f"{x}" + 1.5e3 // 2\n"unclosed';
  for (const language of ["python", "js", "bash", "sql", "json", "html", "rust", "", "no such thing"]) {
    assert.equal(
      highlight(code, language)
        .map((token) => token.text)
        .join(""),
      code,
      language,
    );
  }
  const kinds = (text, language) =>
    highlight(text, language)
      .filter((token) => token.kind)
      .map((token) => `${token.kind} ${token.text}`);
  assert.deepEqual(kinds("def f(x): return 1.5 # note", "py"), [
    "keyword def",
    "name f",
    "keyword return",
    "number 1.5",
    "comment # note",
  ]);
  assert.deepEqual(kinds("if(x) f('a')", "js"), ["keyword if", "name f", "string 'a'"]);
});

test("highlighting long or hostile code ends soon", () => {
  const started = performance.now();
  for (const code of ['"'.repeat(50_000), "/*".repeat(25_000), "a(".repeat(25_000), "\\".repeat(50_000)]) {
    highlight(code, "js");
    highlight(code, "python");
  }
  assert.ok(performance.now() - started < 3000);
});

test("markdown: raw HTML is shown, code keeps its language, blocks tell whether they changed", () => {
  const html = (text) =>
    markdownBlocks(text)
      .map((block) => block.html())
      .join("");
  assert.match(html("a <img src=x onerror=alert(1)> b"), /&#60;img src=x/);
  assert.doesNotMatch(html("<script>alert(1)</script>\n\n<b>x</b>"), /<script|<b>/);
  assert.match(html('```py "><i>\nx < y\n```'), /<pre data-language="py"><code>x &#60; y\s*<\/code><\/pre>/);
  const before = markdownBlocks("# One\n\ntwo").map((block) => block.raw);
  const after = markdownBlocks("# One\n\ntwo and three\n\n- four").map((block) => block.raw);
  assert.equal(before[0], after[0]);
  assert.notEqual(before[1], after[1]);
  assert.equal(after.length, 3);
});

test("numbers as people read them", () => {
  assert.deepEqual([30, 400, 1200, 61_000, 3_720_000].map(duration), [
    "0.1 s",
    "0.4 s",
    "1 s",
    "1 m 01 s",
    "1 h 02 m",
  ]);
  assert.deepEqual([7, 1280, 12_400, 272_000, 1_200_000].map(tokens), ["7", "1.3k", "12.4k", "272k", "1.2M"]);
  assert.deepEqual([plural(1, "step"), plural(2, "step")], ["1 step", "2 steps"]);
  assert.equal(shorten("abcdef", 4), "abc…");
});

test("what has to be approved hides nothing", () => {
  assert.equal(
    visible("ls \u202e\u200b\x1b[8m\u00a0x\u3164\n\tok ä 漢"),
    "ls \\u{202e}\\u{200b}\\u{1b}[8m\\u{a0}x\\u{3164}\n\tok ä 漢",
  );
  const of = (tool, args) => subjectOf({ toolkit: "codex", tool, args });
  assert.deepEqual(of("shell", { command: "ls", cwd: "/w" }), { kind: "shell", rest: {} });
  assert.deepEqual(of("shell", { command: "ls", permissions: { write: "/" } }).rest, {
    permissions: { write: "/" },
  });
  assert.deepEqual(of("shell", { command: "ls", cmd: "rm", patch: "p" }).rest, { cmd: "rm", patch: "p" });
  assert.deepEqual(of("apply_patch", { patch: "@@", changes: [1], grant_root: "/" }), {
    kind: "edit",
    rest: { grant_root: "/" },
  });
  for (const args of [
    { command: "ls", table: "users" },
    { input: "@@", target: "prod" },
  ])
    assert.deepEqual(of("deploy", args), { kind: "tool", rest: args });
});
