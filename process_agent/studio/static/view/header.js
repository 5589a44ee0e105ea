/** What is open: the thread and the agent. */

import { cautionOf, currentAgent } from "../model/select.js";
import { h, setAttribute, setText } from "./dom.js";
import { icon } from "./icons.js";

export class Header {
  /** @param {() => void} toggleSidebar */
  constructor(toggleSidebar) {
    this.menu = h(
      "button",
      {
        type: "button",
        class: "quiet-button menu-button",
        "aria-label": "Threads and participants",
        "aria-controls": "sidebar",
        "aria-expanded": "false",
        on: { click: toggleSidebar },
      },
      icon("menu"),
    );
    this.title = h("h2", { class: "title" });
    this.dot = h("span", { class: "dot", "aria-hidden": "true" });
    this.agent = h("span", {});
    this.caution = h("span", { class: "caution", hidden: true, tabindex: "0" }, "no sandbox");
    this.who = h("span", { class: "with" }, this.caution, this.dot, this.agent);
    this.el = h("header", { class: "header" }, this.menu, this.title, this.who);
  }

  /** @param {import("../model/types.js").State} state */
  update(state) {
    const here = currentAgent(state) !== null;
    const caution = cautionOf(state);
    setAttribute(this.caution, "hidden", !caution);
    setAttribute(this.caution, "title", caution);
    setAttribute(this.caution, "aria-label", caution);
    setText(this.title, threadName(state));
    setText(this.agent, state.agent ? `${state.agent}${here ? "" : " (away)"}` : "");
    setAttribute(this.dot, "data-phase", here ? "online" : "ended");
    setAttribute(this.who, "hidden", !state.agent);
  }
}

/** @param {import("../model/types.js").State} state */
export function threadName(state) {
  if (!state.wanted) return "New thread";
  return state.threads.entries.find((entry) => entry.path === state.wanted)?.name || "Thread";
}
