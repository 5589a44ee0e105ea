/** Trouble with the connection, and short messages that go away. */

import { agents, currentAgent } from "../model/select.js";
import { h, Keyed, setAttribute } from "./dom.js";
import { icon } from "./icons.js";

/** @typedef {import("../model/types.js").State} State */

export class Banner {
  /** @param {import("../model/types.js").Actions} actions */
  constructor(actions) {
    this.text = h("span", {});
    this.button = h(
      "button",
      { type: "button", class: "link-button", on: { click: () => this.#again(actions) } },
      "Try now",
    );
    this.bar = h(
      "div",
      { class: "banner", role: "status", hidden: true },
      icon("alert"),
      this.text,
      this.button,
    );
    this.notices = h("div", { class: "notices", role: "status" });
    this.el = h("div", { class: "banner-area" }, this.bar);
    /** @type {Keyed<import("../model/types.js").Notice>} */
    this.views = new Keyed(
      this.notices,
      (notice) => notice.id,
      (notice) => {
        const close = h(
          "button",
          {
            type: "button",
            class: "quiet-button",
            "aria-label": "Dismiss",
            on: { click: () => actions.dismiss(notice.id) },
          },
          icon("cross"),
        );
        const el = h(
          "div",
          { class: "toast", "data-level": notice.level },
          h("span", {}, notice.text),
          close,
        );
        return { el, update: () => {} };
      },
    );
    /** @type {State | null} */
    this.state = null;
  }

  /** @param {import("../model/types.js").Actions} actions */
  #again(actions) {
    if (this.state?.connection.phase === "online") actions.openAgain();
    else actions.retryNow();
  }

  /** @param {State} state */
  update(state) {
    this.state = state;
    this.views.update(state.notices);
    this.tick(Date.now());
  }

  /** @param {number} now */
  tick(now) {
    if (!this.state) return;
    const said = trouble(this.state, now);
    setAttribute(this.bar, "hidden", said === null);
    if (said === null) return;
    if (this.text.textContent !== said.text) this.text.textContent = said.text;
    setAttribute(this.button, "hidden", !said.retry);
  }
}

/** @param {State} state @param {number} now @returns {{text: string, retry: boolean} | null} */
function trouble(state, now) {
  const { phase, retryAt, reason, wasOnline } = state.connection;
  if (phase === "ended") return { text: reason, retry: true };
  if (phase === "waiting") {
    const seconds = Math.ceil(Math.max(0, (retryAt ?? now) - now) / 1000);
    const when = seconds > 0 ? `Trying again in ${seconds} s.` : "Trying again.";
    return { text: `The connection to the room is lost. ${when}`, retry: true };
  }
  if (phase === "connecting") return wasOnline ? { text: "Reconnecting to the room.", retry: false } : null;
  if (state.agent && !currentAgent(state) && agents(state).some((m) => m.name === state.agent)) {
    return { text: `${state.agent} left the room. The thread goes on when it comes back.`, retry: false };
  }
  if (state.thread?.late) {
    return { text: `${state.agent} does not answer, so this thread cannot be shown.`, retry: true };
  }
  return null;
}
