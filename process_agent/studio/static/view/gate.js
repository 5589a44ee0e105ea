/** What shows instead of the page when there is no session. */

import { copyButton } from "./code.js";
import { h } from "./dom.js";

const COMMAND = "process room link";

/** @param {HTMLElement} root @param {"signed-out" | "unreachable"} gate */
export function showGate(root, gate) {
  root.replaceChildren(h("main", { class: "gate" }, gate === "signed-out" ? signedOut() : unreachable()));
}

function signedOut() {
  return h(
    "div",
    { class: "gate-card" },
    h("h1", {}, "Open Studio with a fresh link"),
    h(
      "p",
      {},
      "This browser is not signed in to the room, or its link was used already. A link works once; get a new one in a terminal:",
    ),
    h(
      "div",
      { class: "command-box" },
      h("code", {}, COMMAND),
      copyButton("Copy command", () => COMMAND),
    ),
    h("p", { class: "start-note" }, "It opens this page signed in. Nothing to remember, nothing to type."),
  );
}

function unreachable() {
  return h(
    "div",
    { class: "gate-card" },
    h("h1", {}, "The room server does not answer"),
    h("p", {}, "Start it in a terminal, then load this page again:"),
    h(
      "div",
      { class: "command-box" },
      h("code", {}, "process room start"),
      copyButton("Copy command", () => "process room start"),
    ),
    h(
      "button",
      { type: "button", class: "button primary", on: { click: () => location.reload() } },
      "Load again",
    ),
  );
}
