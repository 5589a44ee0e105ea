/** Unified diffs and apply_patch texts, as files with numbered lines. Pure. */

/**
 * @typedef {{kind: "add" | "del" | "same" | "gap", text: string, before: number | null, after: number | null}} DiffLine
 * @typedef {{path: string, from: string | null, change: "added" | "deleted" | "modified" | "renamed", lines: DiffLine[], added: number, removed: number, cut: number}} DiffFile
 */

/** Lines shown per file; the rest is counted. */
export const LINE_LIMIT = 2000;

/** @param {string} text @returns {DiffFile[]} */
export function parseDiff(text) {
  return /^\*\*\* (Begin Patch|Add File|Update File|Delete File)/m.test(text)
    ? parsePatch(text)
    : parseUnified(text);
}

/** @param {DiffFile[]} files */
export function totals(files) {
  return files.reduce(
    (sum, file) => ({ added: sum.added + file.added, removed: sum.removed + file.removed }),
    {
      added: 0,
      removed: 0,
    },
  );
}

/** @param {string} text @returns {DiffFile[]} */
function parseUnified(text) {
  const reader = new Reader();
  for (const line of lines(text)) reader.unified(line);
  return reader.files;
}

/** The format of Codex's `apply_patch` tool. @param {string} text @returns {DiffFile[]} */
function parsePatch(text) {
  const reader = new Reader();
  for (const line of lines(text)) reader.patch(line);
  return reader.files;
}

/** @param {string} text */
function lines(text) {
  const all = text.split("\n");
  if (all.at(-1) === "") all.pop();
  return all.map((line) => (line.endsWith("\r") ? line.slice(0, -1) : line));
}

class Reader {
  constructor() {
    /** @type {DiffFile[]} */
    this.files = [];
    this.before = 0;
    this.after = 0;
    /** Lines left in the hunk, as its header counts them. */
    this.left = { before: 0, after: 0 };
  }

  /** @param {string} line */
  unified(line) {
    const open = this.left.before > 0 || this.left.after > 0;
    // A hunk without counts ends where something else begins.
    if (open && !(this.left.after === Infinity && /^(diff --git |@@)/.test(line))) {
      this.#body(line);
      return;
    }
    const hunk = /^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@/.exec(line);
    if (hunk) this.#hunk(hunk);
    else if (line.startsWith("@@")) this.#openHunk();
    else this.#header(line);
  }

  /** @param {string} line */
  #header(line) {
    const git = /^diff --git "?(?:a\/)?(.+?)"? "?b\/(.+?)"?$/.exec(line);
    if (git) {
      this.#file(git[2], "modified");
      return;
    }
    const file = this.files.at(-1);
    if (line.startsWith("--- ")) {
      if (!file || file.lines.length > 0) this.#file(side(line), "modified");
      if (line.startsWith("--- /dev/null")) this.#mark("added");
    } else if (line.startsWith("+++ ")) {
      if (line.startsWith("+++ /dev/null")) this.#mark("deleted");
      else this.#rename(side(line));
    } else if (line.startsWith("new file mode")) this.#mark("added");
    else if (line.startsWith("deleted file mode")) this.#mark("deleted");
    else if (line.startsWith("rename from ") && file)
      Object.assign(file, { from: line.slice(12), change: "renamed" });
    else if (line.startsWith("rename to ") && file) file.path = line.slice(10);
    else if (line.startsWith("Binary files") && file) this.#push("gap", "Binary file", null, null);
  }

  /** @param {RegExpExecArray} hunk */
  #hunk([, before, beforeCount, after, afterCount]) {
    if (this.files.length === 0) this.#file("", "modified");
    this.before = Number(before);
    this.after = Number(after);
    this.left = { before: Number(beforeCount ?? 1), after: Number(afterCount ?? 1) };
    if (this.files.at(-1)?.lines.length) this.#push("gap", "", null, null);
  }

  /** A hunk whose header says neither where nor how long. */
  #openHunk() {
    if (this.files.length === 0) this.#file("", "modified");
    this.before = NaN;
    this.after = NaN;
    this.left = { before: Infinity, after: Infinity };
    if (this.files.at(-1)?.lines.length) this.#push("gap", "", null, null);
  }

  /** @param {string} line */
  #body(line) {
    const text = line.slice(1);
    if (line.startsWith("+")) {
      this.#push("add", text, null, number(this.after++));
      this.left.after -= 1;
    } else if (line.startsWith("-")) {
      this.#push("del", text, number(this.before++), null);
      this.left.before -= 1;
    } else if (!line.startsWith("\\")) {
      this.#push("same", text, number(this.before++), number(this.after++));
      this.left.before -= 1;
      this.left.after -= 1;
    }
  }

  /** @param {string} line */
  patch(line) {
    const header = /^\*\*\* (Add|Update|Delete) File: (.+)$/.exec(line);
    if (header) {
      const change = { Add: "added", Update: "modified", Delete: "deleted" }[header[1]];
      this.#file(header[2], /** @type {DiffFile["change"]} */ (change));
      return;
    }
    const moved = /^\*\*\* Move to: (.+)$/.exec(line);
    const file = this.files.at(-1);
    if (moved && file) Object.assign(file, { from: file.path, path: moved[1], change: "renamed" });
    else if (!file || line.startsWith("***")) return;
    else if (line.startsWith("@@")) {
      if (file.lines.length || line.length > 2) this.#push("gap", line.slice(2).trim(), null, null);
    } else if (line.startsWith("+")) this.#push("add", line.slice(1), null, null);
    else if (line.startsWith("-")) this.#push("del", line.slice(1), null, null);
    else this.#push("same", line.slice(1), null, null);
  }

  /** @param {string} path @param {DiffFile["change"]} change */
  #file(path, change) {
    this.files.push({ path, from: null, change, lines: [], added: 0, removed: 0, cut: 0 });
    this.left = { before: 0, after: 0 };
  }

  /** @param {DiffFile["change"]} change */
  #mark(change) {
    const file = this.files.at(-1);
    if (file) file.change = change;
  }

  /** @param {string} path */
  #rename(path) {
    const file = this.files.at(-1);
    if (file) file.path = path;
  }

  /** @param {DiffLine["kind"]} kind @param {string} text @param {number | null} before @param {number | null} after */
  #push(kind, text, before, after) {
    const file = this.files.at(-1);
    if (!file) return;
    if (kind === "add") file.added += 1;
    if (kind === "del") file.removed += 1;
    if (file.lines.length < LINE_LIMIT) file.lines.push({ kind, text, before, after });
    else file.cut += 1;
  }
}

/** @param {number} value */
function number(value) {
  return Number.isNaN(value) ? null : value;
}

/** The path in a `---` or `+++` line. @param {string} line */
function side(line) {
  const path = line.slice(4).split("\t")[0];
  return path.replace(/^[ab]\//, "");
}
