/** What a turn waits for: may this be done? */

import { waitsFor } from "../model/approvers.js";
import { visible } from "../text/format.js";
import { commandText, diffFiles, subjectOf } from "../text/tool_summary.js";
import { codeTokens } from "./code.js";
import { diffView } from "./diff_view.js";
import { h } from "./dom.js";
import { icon } from "./icons.js";
import { questionCard, requestNumber, waits } from "./question.js";

/**
 * @typedef {import("../model/types.js").ToolItem} ToolItem
 * @typedef {(decided: import("../model/types.js").Decided) => void} Decide
 */

const OUTCOMES = {
  approved: "Approved",
  declined: "Declined",
  lapsed: "Nobody decided",
  asked: "",
  answering: "",
};

/** Decisions in the order of their buttons. @type {[string, string, string][]} */
const BUTTONS = [
  ["accept", "Approve", "button primary"],
  ["accept_for_session", "Approve for this session", "button"],
  ["decline", "Decline", "button"],
  ["cancel", "Decline and stop", "button"],
];
/** What everybody can decide who knows of approvals. */
const YES_OR_NO = ["accept", "decline"];

/**
 * @param {ToolItem} item
 * @param {string} agent
 * @param {string | null} self name of the user of this page
 * @param {Decide} decide
 * @returns {HTMLElement}
 */
export function approvalCard(item, agent, self, decide) {
  const approval = item.approval;
  const others = waitsFor(approval?.approvers ?? [], self);
  if (approval && approval.questions.length > 0) return questionCard(item.id, approval, agent, others, decide);
  const sending = approval?.state === "answering";
  const { kind, rest } = subjectOf(item);
  const tool = visible([item.toolkit, item.tool].filter(Boolean).join("."));
  const question = { shell: "run a command", edit: "change files", tool: `use ${tool || "a tool"}` }[kind];
  const titleId = `approval-${item.id}`;
  const offered = approval?.decisions.length ? approval.decisions : YES_OR_NO;
  return h(
    "section",
    { class: "approval", role: "group", "aria-labelledby": titleId },
    h("h4", { id: titleId }, icon("shield"), `${agent} asks to ${question}`, requestNumber(approval)),
    kind === "shell" && code(commandText(item), "sh"),
    kind === "edit" && diffView(diffFiles(item)),
    kind === "shell" &&
      typeof item.args.cwd === "string" &&
      h("p", { class: "where" }, icon("folder"), h("span", {}, "in "), h("code", {}, visible(item.args.cwd))),
    approval?.reason && h("p", { class: "why" }, approval.reason),
    Object.keys(rest).length > 0 && code(JSON.stringify(rest, null, 2), "json"),
    others !== null && waits(others),
    others === null &&
      h(
        "div",
        { class: "approval-buttons" },
        ...BUTTONS.filter(([decision]) => offered.includes(decision)).map(([decision, label, style]) =>
          h(
            "button",
            { type: "button", class: style, disabled: sending, on: { click: () => decide({ decision }) } },
            label,
          ),
        ),
        sending && h("span", { class: "waiting", role: "status" }, "Sending…"),
      ),
  );
}

/** One line about how it was decided. @param {ToolItem} item @returns {string} */
export function approvalOutcome(item) {
  if (!item.approval) return "";
  const { state, by, text } = item.approval;
  if (text && (state === "approved" || state === "declined")) return visible(text);
  const outcome = OUTCOMES[state];
  return outcome && by ? `${outcome} by ${by}` : outcome;
}

/** @param {string} text @param {string} language */
function code(text, language) {
  return h("pre", { tabindex: "0" }, h("code", {}, ...codeTokens(visible(text), language)));
}
