/** Questions that need an answer before anything happens. */

import { h } from "./dom.js";

const NAME_LIMIT = 120;

/** @param {string} title @param {string} text @param {string} action @returns {Promise<boolean>} */
export async function confirm(title, text, action) {
  return (await ask(title, [h("p", {}, text)], action, "danger")) === "yes";
}

/** @param {string} title @param {string} value @returns {Promise<string | null>} null when cancelled */
export async function askName(title, value) {
  const input = h("input", {
    type: "text",
    "aria-label": "Name",
    maxlength: NAME_LIMIT,
    value,
    autocomplete: "off",
  });
  const answer = ask(title, [input], "Rename", "primary");
  input.select();
  return (await answer) === "yes" ? input.value.trim() : null;
}

/**
 * @param {string} title
 * @param {HTMLElement[]} body
 * @param {string} action
 * @param {string} look
 * @returns {Promise<string>}
 */
function ask(title, body, action, look) {
  const dialog = /** @type {HTMLDialogElement} */ (
    h(
      "dialog",
      { "aria-labelledby": "dialog-title" },
      h(
        "form",
        { method: "dialog" },
        h("h2", { id: "dialog-title" }, title),
        ...body,
        h(
          "div",
          { class: "dialog-buttons" },
          // The first submit button is what Enter presses in a text field.
          h("button", { class: `button ${look}`, value: "yes" }, action),
          h("button", { class: "button", value: "no", type: "submit", formnovalidate: true }, "Cancel"),
        ),
      ),
    )
  );
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue);
    });
  });
}
