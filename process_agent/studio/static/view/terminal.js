/** What a tool was asked and what it printed. */

import { parseAnsi } from "../text/ansi.js";
import { plural } from "../text/format.js";
import { commandText, output } from "../text/tool_summary.js";
import { codeTokens, copyButton } from "./code.js";
import { h } from "./dom.js";

/** @typedef {import("../model/types.js").ToolItem} ToolItem */

/** A shell command with its output. @param {ToolItem} item @returns {HTMLElement} */
export function shellView(item) {
  const command = commandText(item);
  const cwd = typeof item.args.cwd === "string" ? item.args.cwd : null;
  return h(
    "div",
    { class: "terminal" },
    h(
      "div",
      { class: "terminal-command" },
      h("span", { class: "prompt", "aria-hidden": "true" }, "$"),
      h("code", {}, ...codeTokens(command, "sh")),
      copyButton("Copy command", () => command),
    ),
    outputView(item),
    cwd && h("div", { class: "terminal-note" }, `in ${cwd}`),
  );
}

/** Any other tool: its arguments as JSON, then its answer. @param {ToolItem} item @returns {HTMLElement} */
export function toolView(item) {
  const given = Object.keys(item.args).length > 0 ? JSON.stringify(item.args, null, 2) : item.argsText;
  return h(
    "div",
    { class: "terminal" },
    given &&
      h("pre", { class: "terminal-arguments", tabindex: "0" }, h("code", {}, ...codeTokens(given, "json"))),
    outputView(item),
  );
}

/** @param {ToolItem} item @returns {HTMLElement | null} */
function outputView(item) {
  const pieces = output(item);
  if (pieces.length === 0 && !item.error) return null;
  const body = h("pre", { class: "terminal-output", tabindex: "0", role: "region", "aria-label": "Output" });
  if (item.logCut > 0)
    body.append(h("span", { class: "ansi-dim" }, `… ${plural(item.logCut, "character")} not kept\n`));
  for (const piece of pieces) body.append(h("span", { class: piece.source }, ...runs(piece.text)));
  if (item.error)
    body.append(h("span", { class: "stderr" }, `${pieces.length > 0 ? "\n" : ""}${item.error.message}`));
  return body;
}

/** @param {string} text */
function runs(text) {
  return parseAnsi(text).map((run) => (run.style ? h("span", { class: run.style }, run.text) : run.text));
}
