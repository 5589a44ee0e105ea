/** What the agent asks the user of this page for: typed unseen, given to nobody else. */

import { visible } from "../text/format.js";
import { h } from "./dom.js";
import { icon } from "./icons.js";

/** @typedef {import("../model/types.js").AskedSecret} AskedSecret */

const LIMIT = 100_000;

/**
 * @param {string} agent
 * @param {AskedSecret} asked
 * @param {(value: string | null) => void} answer null refuses
 */
export function secretCard(agent, asked, answer) {
  const titleId = `secret-${asked.id}`;
  const isLogin = asked.login !== null;
  const input = h("input", {
    type: "password",
    autocomplete: "off",
    spellcheck: "false",
    maxlength: LIMIT,
    "aria-label": isLogin ? "Code of the login" : visible(asked.name),
  });
  const give = h("button", { class: "button primary", disabled: true }, "Give");
  input.addEventListener("input", () => {
    give.disabled = input.value === "";
  });
  const form = h(
    "form",
    { class: "secret-form", autocomplete: "off" },
    input,
    give,
    h("button", { type: "button", class: "button", on: { click: () => answer(null) } }, "Refuse"),
  );
  form.addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    if (!input.value) return;
    const value = input.value;
    input.value = "";
    answer(value);
  });
  const el = h(
    "section",
    { class: "approval secret", role: "group", "aria-labelledby": titleId },
    h("h4", { id: titleId }, icon("key"), `${agent} asks you for ${visible(asked.name)}`),
    asked.prompt && h("p", {}, asked.prompt),
    asked.login && h("p", {}, "Log in there, and paste the code it gives you: ", h("code", {}, visible(asked.login))),
    form,
    h("p", { class: "where" }, "It goes to the agent alone, and is not kept in this thread."),
  );
  return { el, update: () => {} };
}
