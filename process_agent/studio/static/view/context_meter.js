/** How full the model's context is, and what the thread cost. */

import { shownThread } from "../model/select.js";
import { costOf } from "../model/extras.js";
import { money, tokens } from "../text/format.js";
import { h, setAttribute, setText } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
const LENGTH = 2 * Math.PI * 6;

export class ContextMeter {
  /** @param {import("../model/types.js").Actions} actions */
  constructor(actions) {
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", "0 0 16 16");
    svg.setAttribute("class", "ring");
    svg.setAttribute("aria-hidden", "true");
    this.arc = circle("ring-used");
    svg.append(circle("ring-track"), this.arc);
    this.label = h("span", {});
    this.fill = h("span", { class: "meter-fill" }, svg, this.label);
    this.cost = h("span", { class: "cost" });
    this.el = h(
      "button",
      { type: "button", class: "meter", hidden: true, on: { click: () => actions.showUsage() } },
      this.fill,
      this.cost,
    );
  }

  /** @param {import("../model/types.js").State} state */
  update(state) {
    const thread = shownThread(state);
    const context = thread?.context ?? null;
    const cost = costOf(thread);
    setAttribute(this.el, "hidden", context === null && cost === null);
    setAttribute(this.fill, "hidden", context === null);
    setAttribute(this.cost, "hidden", cost === null);
    const spent = cost === null ? "" : `${money(cost)} for the turns shown here`;
    setText(this.cost, cost === null ? "" : money(cost));
    setAttribute(this.cost, "title", spent);
    setAttribute(this.el, "aria-label", `Usage and cost: ${spent}`);
    if (!context) return;
    const share = context.total ? Math.min(context.used / context.total, 1) : null;
    const of = context.total ? ` of ${tokens(context.total)}` : "";
    const at = context.compactsAt ? `, summarised at ${tokens(context.compactsAt)}` : "";
    const words = `${tokens(context.used)}${of} tokens of context used${at}`;
    setText(this.label, share === null ? tokens(context.used) : `${Math.max(1, Math.round(share * 100))}%`);
    setAttribute(this.fill, "title", words);
    setAttribute(this.el, "aria-label", ["Usage and cost", words, spent].filter(Boolean).join(": "));
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
