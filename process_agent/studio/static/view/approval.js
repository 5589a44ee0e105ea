/** The question a turn waits for: may this be done? */

import { visible } from "../text/format.js";
import { commandText, diffFiles, subjectOf } from "../text/tool_summary.js";
import { codeTokens } from "./code.js";
import { diffView } from "./diff_view.js";
import { h } from "./dom.js";
import { icon } from "./icons.js";

/** @typedef {import("../model/types.js").ToolItem} ToolItem */

const OUTCOMES = {
  approved: "Approved",
  declined: "Declined",
  lapsed: "Nobody decided",
  asked: "",
  answering: "",
};

/**
 * @param {ToolItem} item
 * @param {string} agent
 * @param {(accepted: boolean) => void} decide
 * @returns {HTMLElement}
 */
export function approvalCard(item, agent, decide) {
  const sending = item.approval?.state === "answering";
  const { kind, rest } = subjectOf(item);
  const tool = visible([item.toolkit, item.tool].filter(Boolean).join("."));
  const question = { shell: "run a command", edit: "change files", tool: `use ${tool || "a tool"}` }[kind];
  const titleId = `approval-${item.id}`;
  return h(
    "section",
    { class: "approval", role: "group", "aria-labelledby": titleId },
    h("h4", { id: titleId }, icon("shield"), `${agent} asks to ${question}`),
    item.approval?.reason && h("p", {}, item.approval.reason),
    kind === "shell" && code(commandText(item), "sh"),
    kind === "edit" && diffView(diffFiles(item)),
    kind === "shell" &&
      typeof item.args.cwd === "string" &&
      h("p", { class: "where" }, `in ${visible(item.args.cwd)}`),
    Object.keys(rest).length > 0 && code(JSON.stringify(rest, null, 2), "json"),
    h(
      "div",
      { class: "approval-buttons" },
      h(
        "button",
        { type: "button", class: "button primary", disabled: sending, on: { click: () => decide(true) } },
        "Approve",
      ),
      h(
        "button",
        { type: "button", class: "button", disabled: sending, on: { click: () => decide(false) } },
        "Decline",
      ),
      sending && h("span", { class: "waiting", role: "status" }, "Sending…"),
    ),
  );
}

/** One line about how it was decided. @param {ToolItem} item @returns {string} */
export function approvalOutcome(item) {
  if (!item.approval) return "";
  const outcome = OUTCOMES[item.approval.state];
  return outcome && item.approval.by ? `${outcome} by ${item.approval.by}` : outcome;
}

/** @param {string} text @param {string} language */
function code(text, language) {
  return h("pre", { tabindex: "0" }, h("code", {}, ...codeTokens(visible(text), language)));
}
