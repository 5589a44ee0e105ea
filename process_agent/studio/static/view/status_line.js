/** What the agent does right now, and for how long. */

import { duration } from "../text/format.js";
import { h, setAttribute, setText } from "./dom.js";

/** @typedef {{text: string, since: number | null}} Shown */

export class StatusLine {
  constructor() {
    this.text = h("span", { class: "status-text" });
    this.time = h("span", { class: "status-time" });
    this.el = h(
      "div",
      { class: "status-line", hidden: true },
      h("span", { class: "spinner" }),
      this.text,
      this.time,
    );
    /** @type {Shown | null} */
    this.shown = null;
  }

  /** @param {Shown | null} shown */
  update(shown) {
    this.shown = shown;
    setAttribute(this.el, "hidden", shown === null);
    if (!shown) return;
    setText(this.text, shown.text);
    this.tick(Date.now());
  }

  /** @param {number} now */
  tick(now) {
    const elapsed = this.shown?.since ? now - this.shown.since : 0;
    setText(this.time, elapsed >= 1000 ? duration(elapsed) : "");
  }
}
