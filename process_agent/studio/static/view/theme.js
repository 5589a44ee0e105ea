/** Light, dark, or as the system says. */

import { h, setAttribute } from "./dom.js";
import { icon } from "./icons.js";

const KEY = "studio.theme";
const NEXT = { auto: "light", light: "dark", dark: "auto" };
const ICONS = { auto: "auto", light: "sun", dark: "moon" };
const WORDS = { auto: "as the system", light: "light", dark: "dark" };

/** @typedef {keyof typeof NEXT} Theme */

/** Before anything is drawn. */
export function applyTheme(theme = savedTheme()) {
  setAttribute(document.documentElement, "data-theme", theme === "auto" ? null : theme);
}

/** @returns {HTMLElement} */
export function themeButton() {
  const button = h("button", { type: "button", class: "quiet-button theme" });
  const show = () => {
    const theme = savedTheme();
    button.replaceChildren(icon(ICONS[theme]));
    setAttribute(button, "aria-label", `Colours: ${WORDS[theme]}`);
    setAttribute(button, "title", `Colours: ${WORDS[theme]}`);
  };
  button.addEventListener("click", () => {
    const theme = /** @type {Theme} */ (NEXT[savedTheme()]);
    localStorage.setItem(KEY, theme);
    applyTheme(theme);
    show();
  });
  show();
  return button;
}

/** @returns {Theme} */
function savedTheme() {
  const saved = localStorage.getItem(KEY);
  return saved === "light" || saved === "dark" ? saved : "auto";
}
