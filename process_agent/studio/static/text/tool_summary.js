/** What a tool call is about, in one line. Pure. */

import { parseDiff, totals } from "./diff.js";
import { plural, shorten, visible } from "./format.js";
import { writtenTexts } from "./written.js";

/**
 * @typedef {import("../model/types.js").ToolItem} ToolItem
 * @typedef {import("../model/types.js").Body} Body
 * @typedef {import("./diff.js").DiffFile} DiffFile
 * @typedef {"shell" | "edit" | "diff" | "plan" | "search" | "notice" | "tool"} ToolKind
 * @typedef {{kind: ToolKind, title: string, code: boolean, exitCode: number | null, counts: {added: number, removed: number} | null}} Summary
 * @typedef {{step: string, status: "pending" | "in_progress" | "completed"}} PlanStep
 */

const SHELL = new Set(["shell", "local_shell", "exec_command", "command_execution", "bash"]);
const EDIT = new Set(["apply_patch", "file_change"]);
/** Tools of the Codex backend that only say something. */
const NOTICES = new Set(["warning", "retry", "notice"]);
const TITLE_LIMIT = 160;

/** @param {ToolItem} item @returns {ToolKind} */
export function toolKind(item) {
  if (item.tool.startsWith("diff") && diffText(item)) return "diff";
  if (EDIT.has(item.tool)) return "edit";
  if (SHELL.has(item.tool) || commandText(item)) return "shell";
  if (/plan/.test(item.tool) && planSteps(item).length > 0) return "plan";
  if (item.toolkit === "codex" && NOTICES.has(item.tool)) return "notice";
  return item.tool === "web_search" ? "search" : "tool";
}

/**
 * Whether an item only tells the model of undo and redo: people are told in the answer beside it. A toolkit of the
 * room may have the same name, and no say in ids.
 * @param {import("../model/types.js").Item} item
 * @param {string} turnId
 */
export function isForModel(item, turnId) {
  return item.kind === "tool" && item.toolkit === "workspace" && item.id === `${turnId}:files`;
}

/**
 * What somebody has to approve. Only a tool known to run commands or change files is shown as a command or a
 * diff: any other can have an argument of that name beside those that matter. `rest` is what remains to be said.
 * @param {ToolItem} item
 * @returns {{kind: "shell" | "edit" | "tool", rest: Body}}
 */
export function subjectOf(item) {
  const { command, cmd, cwd, patch, diff, changes, ...others } = item.args;
  const place = typeof cwd === "string" ? {} : { cwd };
  if (SHELL.has(item.tool) && commandText(item)) {
    const second = command === undefined ? {} : { cmd };
    return { kind: "shell", rest: present({ ...second, ...place, patch, diff, changes, ...others }) };
  }
  if (EDIT.has(item.tool) && diffText(item))
    return { kind: "edit", rest: present({ command, cmd, cwd, ...others }) };
  return { kind: "tool", rest: item.args };
}

/** @param {Body} args */
function present(args) {
  return Object.fromEntries(
    Object.entries(args).filter(([, value]) => value !== undefined && value !== null && value !== ""),
  );
}

/** @param {ToolItem} item @returns {Summary} */
export function summarise(item) {
  const kind = toolKind(item);
  const blank = { kind, code: false, exitCode: null, counts: null };
  const question = item.approval?.questions[0];
  if (question) return { ...blank, title: shorten(firstLine(question.text), TITLE_LIMIT) };
  switch (kind) {
    case "shell":
      if (!commandText(item) && item.argsText) return { ...blank, title: "Writing a command" };
      return {
        ...blank,
        title: shorten(firstLine(commandText(item)), TITLE_LIMIT),
        code: true,
        exitCode: exitCode(item),
      };
    case "edit":
    case "diff": {
      const files = diffFiles(item);
      const title = isWritten(item) ? writingTitle(files) : filesTitle(files, isUndone(item));
      return { ...blank, title, counts: files.length > 0 ? totals(files) : null };
    }
    case "plan": {
      const steps = planSteps(item);
      const done = steps.filter((step) => step.status === "completed").length;
      return { ...blank, title: `Plan · ${done} of ${plural(steps.length, "step")} done` };
    }
    case "search":
      return { ...blank, title: shorten(`Searched the web for ${item.args.query ?? "…"}`, TITLE_LIMIT) };
    case "notice":
      return { ...blank, title: shorten(String(item.args.message ?? item.tool), TITLE_LIMIT) };
    default:
      return { ...blank, title: [item.toolkit, item.tool].filter(Boolean).join(" · ") || "Tool" };
  }
}

/**
 * The arguments, as far as the model has written them. What somebody is asked about is never shown half.
 * @param {ToolItem} item
 * @returns {Body}
 */
function argumentsOf(item) {
  return item.argsText && !item.approval ? { ...writtenTexts(item.argsText), ...item.args } : item.args;
}

/** The command as a person would type it, without the shell around it. @param {ToolItem} item @returns {string} */
export function commandText(item) {
  const command = item.args.command ?? item.args.cmd ?? "";
  const text = Array.isArray(command) ? unwrapList(command.map(String)) : String(command);
  const wrapped = /^(?:\/\S*\/)?(?:bash|sh|zsh) -l?c (['"])([^]*)\1$/.exec(text);
  if (!wrapped) return text;
  const inner = wrapped[2];
  return wrapped[1] === "'"
    ? inner.replaceAll(`'"'"'`, "'").replaceAll(`'\\''`, "'")
    : inner.replace(/\\(["\\$`])/g, "$1");
}

/** @param {ToolItem} item @returns {string} */
export function diffText(item) {
  const { diff, patch, input, operation, changes, unified_diff: unified } = argumentsOf(item);
  for (const value of [diff, patch, unified, input, operation?.diff, operation?.patch]) {
    if (typeof value === "string" && value) return value;
  }
  return Array.isArray(changes) ? changes.filter(isObject).map(changeText).join("") : "";
}

/** @param {ToolItem} item @returns {DiffFile[]} */
export function diffFiles(item) {
  return parseDiff(diffText(item));
}

/** @param {ToolItem} item @returns {PlanStep[]} */
export function planSteps(item) {
  const plan = item.args.plan ?? item.args.steps;
  if (!Array.isArray(plan)) return [];
  return plan
    .filter((entry) => typeof entry?.step === "string")
    .map((entry) => ({ step: entry.step, status: planStatus(String(entry.status)) }));
}

/** What the tool printed or answered, for people. @param {ToolItem} item @returns {{source: "stdout" | "stderr", text: string}[]} */
export function output(item) {
  if (item.log.length > 0) return item.log;
  const result = item.result;
  if (
    result?.type === "json" &&
    isObject(result.json) &&
    ("stdout" in result.json || "stderr" in result.json)
  ) {
    return [
      { source: /** @type {const} */ ("stdout"), text: String(result.json.stdout ?? "") },
      { source: /** @type {const} */ ("stderr"), text: String(result.json.stderr ?? "") },
    ].filter((piece) => piece.text);
  }
  const text = resultText(result);
  return text ? [{ source: "stdout", text }] : [];
}

/** @param {ToolItem} item */
export function exitCode(item) {
  const code = item.result?.type === "json" && isObject(item.result.json) ? item.result.json.exit_code : null;
  return typeof code === "number" ? code : null;
}

/** @param {Body | null} result */
function resultText(result) {
  switch (result?.type) {
    case "text":
    case "error":
      return String(result.text ?? "");
    case "json":
      return typeof result.json === "string" ? result.json : JSON.stringify(result.json, null, 2);
    case "link":
      return `${result.name ?? ""} ${result.url ?? ""}`.trim();
    case "file":
      return String(result.name ?? "file");
    default:
      return "";
  }
}

/** @param {string[]} command */
function unwrapList(command) {
  const shell = /(^|\/)(ba|z)?sh$/.test(command[0] ?? "") && /^-l?c$/.test(command[1] ?? "");
  return shell && command.length === 3 ? command[2] : command.join(" ");
}

/** One entry of a Codex file change: the diff of an added file is its content. @param {Body} change */
function changeText(change) {
  const path = String(change.path ?? "");
  const kind = change.kind?.type ?? change.kind ?? "update";
  const diff = String(change.diff ?? "");
  if (kind === "update" || /^@@ |^--- /m.test(diff))
    return `diff --git a/${path} b/${path}\n${diff.replace(/\n?$/, "\n")}`;
  const lines = diff.split("\n");
  if (lines.at(-1) === "") lines.pop();
  const sign = kind === "delete" ? "-" : "+";
  const [mode, range] =
    kind === "delete" ? ["deleted", `-1,${lines.length} +0,0`] : ["new", `-0,0 +1,${lines.length}`];
  const body = lines.map((line) => `${sign}${line}\n`).join("");
  return `diff --git a/${path} b/${path}\n${mode} file mode 100644\n@@ ${range} @@\n${body}`;
}

const DONE = { added: "Created", deleted: "Deleted", modified: "Edited", renamed: "Moved" };
const TO_DO = { added: "Create", deleted: "Delete", modified: "Edit", renamed: "Move" };

/** What waits for an approval or got none has not happened. @param {ToolItem} item */
function isUndone(item) {
  return item.approval ? item.approval.state !== "approved" : false;
}

/** Whether the model still writes what is to be done. @param {ToolItem} item */
function isWritten(item) {
  return Boolean(item.argsText) && !item.approval && item.state === "running";
}

/** @param {DiffFile[]} files */
function writingTitle(files) {
  const last = files.at(-1);
  if (!last) return "Writing a patch";
  const others = files.length > 1 ? ` and ${plural(files.length - 1, "other file")}` : "";
  return visible(`Writing ${last.path}${others}`);
}

/** What a call has in it so far, decoded, for a look while the model writes. @param {ToolItem} item @returns {string} */
export function writtenText(item) {
  const { command, cmd } = writtenTexts(item.argsText);
  return diffText(item) || command || cmd || item.argsText;
}

/** @param {DiffFile[]} files @param {boolean} undone */
function filesTitle(files, undone) {
  if (files.length === 0) return undone ? "Edit files" : "Edited files";
  if (files.length === 1) return `${(undone ? TO_DO : DONE)[files[0].change]} ${files[0].path}`;
  return `${undone ? "Change" : "Changed"} ${files.length} files`;
}

/** @param {string} status @returns {PlanStep["status"]} */
function planStatus(status) {
  if (/^(completed|done)$/.test(status)) return "completed";
  return /^in_?progress$/i.test(status) ? "in_progress" : "pending";
}

/** @param {string} text */
function firstLine(text) {
  const line = text.split("\n").find((part) => part.trim()) ?? "";
  return text.trim().includes("\n") ? `${line} …` : line;
}

/** @param {unknown} value @returns {value is Body} */
function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
