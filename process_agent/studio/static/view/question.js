/** Questions of the agent: options to choose from, or words of one's own. */

import { visible } from "../text/format.js";
import { h } from "./dom.js";
import { icon } from "./icons.js";

/**
 * @typedef {import("../model/types.js").Approval} Approval
 * @typedef {import("../model/types.js").Question} Question
 */

const LIMIT = 20_000;

/**
 * @param {string} id
 * @param {Approval} asked
 * @param {string} agent
 * @param {string | null} others whom it waits for, when it is not for the user of this page
 * @param {(decided: import("../model/types.js").Decided) => void} decide
 * @returns {HTMLElement}
 */
export function questionCard(id, asked, agent, others, decide) {
  const titleId = `question-${id}`;
  const sending = asked.state === "answering" || others !== null;
  const fields = asked.questions.map((question, index) => field(`${titleId}-${index}`, question, sending));
  const give = h("button", { class: "button primary", disabled: true }, "Answer");
  const check = () => {
    give.disabled = sending || !fields.every((one) => one.complete());
  };
  const form = h(
    "form",
    { class: "question-form", autocomplete: "off", on: { input: check } },
    ...fields.map((one) => one.el),
    others !== null && waits(others),
    others === null &&
      h(
        "div",
        { class: "approval-buttons" },
        give,
        ...[
          ["decline", "Decline"],
          ["cancel", "Decline and stop"],
        ]
          .filter(([decision]) => asked.decisions.includes(decision))
          .map(([decision, label]) =>
            h(
              "button",
              { type: "button", class: "button", disabled: sending, on: { click: () => decide({ decision }) } },
              label,
            ),
          ),
        sending && h("span", { class: "waiting", role: "status" }, "Sending…"),
      ),
  );
  form.addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    if (give.disabled) return;
    const answers = Object.fromEntries(fields.map((one) => [one.id, one.given()]));
    decide({ decision: "accept", answers });
  });
  return h(
    "section",
    { class: "approval question", role: "group", "aria-labelledby": titleId },
    h("h4", { id: titleId }, icon("info"), `${agent} asks`, requestNumber(asked)),
    asked.reason && h("p", { class: "why" }, asked.reason),
    form,
    others === null &&
      h("p", { class: "where" }, "Everybody in this thread sees the answer. The next message answers it too."),
  );
}

/** What `/approve` and `/deny` take, typed in any client. @param {Approval | null} asked */
export function requestNumber(asked) {
  const title = `/approve ${asked?.number} and /deny ${asked?.number} decide about it too`;
  return asked && asked.number > 0 && h("span", { class: "card-note", title }, `request ${asked.number}`);
}

/** @param {string} others */
export function waits(others) {
  return h("p", { class: "approval-waits" }, `Waits for ${visible(others)}`);
}

/** @param {string} name @param {Question} question @param {boolean} disabled */
function field(name, question, disabled) {
  const boxes = question.options.map((option, index) =>
    h("input", {
      type: question.several ? "checkbox" : "radio",
      name,
      id: `${name}-${index}`,
      disabled,
    }),
  );
  const words = h("input", {
    type: "text",
    class: "question-words",
    maxlength: LIMIT,
    disabled,
    inputmode: question.kind === "text" ? null : "decimal",
    placeholder: boxes.length > 0 ? "Or in your own words" : null,
    "aria-label": question.options.length > 0 ? "Your own words" : visible(question.text),
  });
  words.addEventListener("input", () => {
    if (words.value) for (const box of boxes) box.checked = false;
  });
  const typed = boxes.length === 0 || question.free;
  const given = () => {
    const chosen = question.options.filter((_, index) => boxes[index].checked).map((option) => option.label);
    const text = words.value.trim();
    return chosen.length > 0 || !text || !typed ? chosen : [text];
  };
  const el = h(
    "fieldset",
    {},
    h(
      "legend",
      {},
      question.header && h("span", { class: "tag" }, visible(question.header)),
      visible(question.text),
    ),
    ...question.options.map((option, index) =>
      h(
        "label",
        { class: "option" },
        boxes[index],
        h(
          "span",
          {},
          h("strong", {}, visible(option.label)),
          option.description && h("span", { class: "about" }, visible(option.description)),
        ),
      ),
    ),
    typed && words,
  );
  const complete = () => !question.required || given().length > 0;
  return { id: question.id, el, given, complete };
}
