/** A small menu that opens at a button: arrow keys move, Enter chooses, Escape closes. */

import { h } from "./dom.js";

/**
 * @typedef {{label: string, note?: string, icon?: Node, checked?: boolean, danger?: boolean, choose: () => void}} Entry
 * @typedef {{label?: string, entries: Entry[]}} Group
 */

/** @type {(() => void) | null} */
let closeOpen = null;

/**
 * @param {HTMLElement} anchor
 * @param {string} label
 * @param {Group[]} groups
 */
export function openMenu(anchor, label, groups) {
  closeOpen?.();
  const menu = h(
    "div",
    { class: "menu", role: "menu", "aria-label": label, tabindex: "-1" },
    ...groups.map(groupView),
  );
  document.body.append(menu);
  place(menu, anchor);
  anchor.setAttribute("aria-expanded", "true");
  const close = (/** @type {boolean} */ back) => {
    closeOpen = null;
    menu.remove();
    anchor.setAttribute("aria-expanded", "false");
    document.removeEventListener("pointerdown", outside, true);
    window.removeEventListener("resize", away);
    if (back) anchor.focus();
  };
  const away = () => close(false);
  const outside = (/** @type {Event} */ event) => {
    if (event.target instanceof Node && !menu.contains(event.target) && !anchor.contains(event.target))
      close(false);
  };
  menu.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => keys(event, menu, close));
  menu.addEventListener("click", (/** @type {Event} */ event) => {
    if (event.target instanceof Element && event.target.closest(".menu-entry")) close(true);
  });
  document.addEventListener("pointerdown", outside, true);
  window.addEventListener("resize", away);
  closeOpen = away;
  const first = menu.querySelector("[aria-checked=true]") ?? menu.querySelector(".menu-entry");
  if (first instanceof HTMLElement) first.focus();
}

/** Opens, or closes when it is open already. @param {HTMLElement} anchor @param {string} label @param {() => Group[]} groups */
export function toggleMenu(anchor, label, groups) {
  if (anchor.getAttribute("aria-expanded") === "true") closeOpen?.();
  else openMenu(anchor, label, groups());
}

/** @param {Group} group */
function groupView(group) {
  return h(
    "div",
    { class: "menu-group", role: "group", "aria-label": group.label },
    group.label && h("div", { class: "menu-label", "aria-hidden": "true" }, group.label),
    ...group.entries.map(entryView),
  );
}

/** @param {Entry} entry */
function entryView(entry) {
  const radio = entry.checked !== undefined;
  return h(
    "button",
    {
      type: "button",
      class: entry.danger ? "menu-entry danger" : "menu-entry",
      role: radio ? "menuitemradio" : "menuitem",
      "aria-checked": radio ? String(entry.checked) : null,
      tabindex: "-1",
      on: { click: () => entry.choose() },
    },
    entry.icon,
    h("span", { class: "menu-text" }, entry.label),
    entry.note && h("span", { class: "menu-note" }, entry.note),
  );
}

/** @param {KeyboardEvent} event @param {HTMLElement} menu @param {(back: boolean) => void} close */
function keys(event, menu, close) {
  const entries = /** @type {HTMLElement[]} */ ([...menu.querySelectorAll(".menu-entry")]);
  const at = entries.indexOf(/** @type {HTMLElement} */ (document.activeElement));
  const moves = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: entries.length - 1 };
  if (event.key in moves) {
    event.preventDefault();
    const next = moves[/** @type {keyof typeof moves} */ (event.key)];
    entries[(next + entries.length) % entries.length].focus();
  } else if (event.key === "Escape" || event.key === "Tab") {
    event.preventDefault();
    event.stopPropagation();
    close(true);
  }
}

/** Below the anchor, or above it when there is more room. @param {HTMLElement} menu @param {HTMLElement} anchor */
function place(menu, anchor) {
  const box = anchor.getBoundingClientRect();
  const below = window.innerHeight - box.bottom;
  const up = below < menu.offsetHeight + 12 && box.top > below;
  const left = Math.min(box.left, window.innerWidth - menu.offsetWidth - 8);
  menu.style.left = `${Math.max(8, left)}px`;
  menu.style.maxHeight = `${(up ? box.top : below) - 16}px`;
  if (up) menu.style.bottom = `${window.innerHeight - box.top + 6}px`;
  else menu.style.top = `${box.bottom + 6}px`;
}
