/** How full the model's context is. */

import { shownThread } from "../model/select.js";
import { tokens } from "../text/format.js";
import { h, setAttribute, setText } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
const LENGTH = 2 * Math.PI * 6;

export class ContextMeter {
  constructor() {
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", "0 0 16 16");
    svg.setAttribute("class", "ring");
    svg.setAttribute("aria-hidden", "true");
    this.arc = circle("ring-used");
    svg.append(circle("ring-track"), this.arc);
    this.label = h("span", {});
    this.el = h("span", { class: "meter", hidden: true, role: "img" }, svg, this.label);
  }

  /** @param {import("../model/types.js").State} state */
  update(state) {
    const context = shownThread(state)?.context ?? null;
    setAttribute(this.el, "hidden", context === null);
    if (!context) return;
    const share = context.total ? Math.min(context.used / context.total, 1) : null;
    const words = context.total
      ? `${tokens(context.used)} of ${tokens(context.total)} tokens of context used`
      : `${tokens(context.used)} tokens of context used`;
    setText(this.label, share === null ? tokens(context.used) : `${Math.max(1, Math.round(share * 100))}%`);
    setAttribute(this.el, "title", words);
    setAttribute(this.el, "aria-label", words);
    setAttribute(this.el, "data-full", share !== null && share > 0.85);
    this.arc.setAttribute("stroke-dasharray", `${(share ?? 0) * LENGTH} ${LENGTH}`);
  }
}

/** @param {string} name */
function circle(name) {
  const shape = document.createElementNS(SVG, "circle");
  for (const [key, value] of Object.entries({ cx: "8", cy: "8", r: "6", class: name }))
    shape.setAttribute(key, value);
  return shape;
}
