/** Code blocks and things to copy. */

import { highlight } from "../text/highlight.js";
import { h } from "./dom.js";
import { icon } from "./icons.js";

const CONFIRM_MS = 1600;

/** @param {string} code @param {string} language @returns {HTMLElement} */
export function codeBlock(code, language) {
  const text = code.replace(/\n$/, "");
  return h(
    "figure",
    { class: "code" },
    h(
      "figcaption",
      {},
      h("span", { class: "code-language" }, language || "text"),
      copyButton("Copy code", () => text),
    ),
    h("pre", { tabindex: "0" }, h("code", {}, ...codeTokens(text, language))),
  );
}

/** @param {string} text @param {string} language @returns {(string | HTMLElement)[]} */
export function codeTokens(text, language) {
  return highlight(text, language).map((token) =>
    token.kind ? h("span", { class: `code-${token.kind}` }, token.text) : token.text,
  );
}

/**
 * @param {string} label
 * @param {() => string} text
 * @returns {HTMLElement}
 */
export function copyButton(label, text) {
  const button = h(
    "button",
    { type: "button", class: "quiet-button copy", "aria-label": label, title: label },
    icon("copy"),
  );
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text());
      show("check", "Copied");
    } catch {
      show("cross", "Copying is not allowed here");
    }
  });
  /** @param {string} name @param {string} said */
  const show = (name, said) => {
    button.replaceChildren(icon(name));
    button.setAttribute("aria-label", said);
    window.setTimeout(() => {
      button.replaceChildren(icon("copy"));
      button.setAttribute("aria-label", label);
    }, CONFIRM_MS);
  };
  return button;
}
