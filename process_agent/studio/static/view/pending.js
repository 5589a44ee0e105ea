/** Input that no turn has taken up yet. */

import { bubble } from "./items.js";
import { h, setAttribute } from "./dom.js";
import { icon } from "./icons.js";

/** @typedef {import("../model/types.js").Pending} Pending */

/** @param {import("../model/types.js").Actions} actions */
export function pendingView(actions) {
  const el = h("div", { class: "message user waiting" });
  return {
    el,
    /** @param {Pending} entry */
    update(entry) {
      setAttribute(el, "data-state", entry.state);
      const sender = entry.mine ? null : entry.sender;
      el.replaceChildren(
        bubble(entry.content, sender, null, (wanted) => actions.findFile(wanted)),
        entry.state === "failed" ? failed(entry, actions) : waits(entry),
      );
    },
  };
}

/** @param {Pending} entry */
function waits(entry) {
  const text =
    entry.state === "sending"
      ? "Sending"
      : entry.kind === "steer"
        ? "The agent will read this next"
        : "Queued";
  return h("p", { class: "bubble-note" }, text);
}

/** @param {Pending} entry @param {import("../model/types.js").Actions} actions */
function failed(entry, actions) {
  return h(
    "div",
    { class: "bubble-note bad", role: "alert" },
    icon("alert"),
    h("span", {}, entry.error ?? "This was not sent."),
    entry.mine &&
      h(
        "button",
        { type: "button", class: "link-button", on: { click: () => actions.resend(entry) } },
        "Send again",
      ),
    h("button", { type: "button", class: "link-button", on: { click: () => actions.drop(entry) } }, "Remove"),
  );
}
