/** A thread in the list, with its menu. */

import { askName, confirm } from "./dialogs.js";
import { h, setAttribute, setText } from "./dom.js";
import { icon } from "./icons.js";
import { toggleMenu } from "./menu.js";
import { threadAddress } from "../address.js";

/** @typedef {import("../model/types.js").ThreadEntry} ThreadEntry */

/** @param {import("../model/types.js").Actions} actions */
export function threadRow(actions) {
  /** @type {ThreadEntry} */
  let shown;
  const link = h("a", { class: "thread-link" });
  const more = h(
    "button",
    { type: "button", class: "quiet-button more", "aria-haspopup": "menu", "aria-expanded": "false" },
    icon("dots"),
  );
  const el = h("li", { class: "thread-row" }, link, more);
  link.addEventListener("click", (/** @type {MouseEvent} */ event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    actions.openThread(shown.path);
  });
  more.addEventListener("click", () =>
    toggleMenu(more, `Thread ${shown.name}`, () => [{ entries: entries() }]),
  );
  const entries = () => [
    { label: "Rename", icon: icon("pencil"), choose: rename },
    { label: "Clear", icon: icon("eraser"), danger: true, choose: clear },
    { label: "Delete", icon: icon("trash"), danger: true, choose: remove },
  ];
  const rename = async () => {
    const name = await askName("Rename thread", shown.name);
    if (name && name !== shown.name) actions.rename(shown.path, name);
  };
  const clear = async () => {
    const text = `What was said in “${shown.name}” will be forgotten, by everybody in this room and by the model. The thread stays.`;
    if (await confirm("Clear thread?", text, "Clear")) actions.clear(shown.path);
  };
  const remove = async () => {
    const text = `“${shown.name}” and everything said in it will be gone for everybody in this room.`;
    if (await confirm("Delete thread?", text, "Delete")) actions.remove(shown.path);
  };
  return {
    el,
    /** @param {ThreadEntry} entry */
    update(entry) {
      shown = entry;
      setText(link, entry.name || "New thread");
      setAttribute(link, "href", threadAddress(entry.path));
      setAttribute(link, "title", entry.name);
      setAttribute(link, "data-path", entry.path);
      setAttribute(more, "aria-label", `More about ${entry.name}`);
    },
  };
}
