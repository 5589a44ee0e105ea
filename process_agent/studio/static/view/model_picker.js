/** Which model answers next. */

import { currentModel, modelOptions } from "../model/select.js";
import { h, setAttribute } from "./dom.js";
import { icon } from "./icons.js";
import { toggleMenu } from "./menu.js";

/**
 * @typedef {import("../model/types.js").State} State
 * @typedef {import("../model/select.js").ModelOption} ModelOption
 */

const SCRIPTED = "scripted model";

export class ModelPicker {
  /** @param {import("../model/types.js").Actions} actions */
  constructor(actions) {
    this.actions = actions;
    this.label = h("span", { class: "picker-label" });
    this.el = h(
      "button",
      { type: "button", class: "picker", "aria-haspopup": "menu", "aria-expanded": "false", hidden: true },
      this.label,
      icon("down"),
    );
    /** @type {State | null} */
    this.state = null;
    this.el.addEventListener("click", () => toggleMenu(this.el, "Model", () => this.#groups()));
  }

  /** @param {State} state */
  update(state) {
    this.state = state;
    const current = currentModel(state);
    setAttribute(this.el, "hidden", current === null);
    if (!current) return;
    const name = current.scripted ? SCRIPTED : current.label;
    if (this.label.textContent === name) return;
    this.label.textContent = name;
    setAttribute(this.el, "aria-label", `Model: ${name}`);
    setAttribute(this.el, "data-scripted", current.scripted);
  }

  #groups() {
    const state = this.state;
    if (!state) return [];
    const current = currentModel(state);
    /** @type {Map<string, ModelOption[]>} */
    const groups = new Map();
    const backends = new Set(state.models.providers.map((provider) => provider.backend));
    for (const option of modelOptions(state)) {
      const label = option.group + (backends.size > 1 ? ` · ${option.backend}` : "");
      groups.set(label, [...(groups.get(label) ?? []), option]);
    }
    return [...groups].map(([label, options]) => ({
      label,
      entries: options.map((option) => ({
        label: option.label,
        note: option.scripted && option.label !== SCRIPTED ? SCRIPTED : "",
        checked: same(option, current),
        choose: () =>
          this.actions.pickModel({ backend: option.backend, provider: option.provider, model: option.model }),
      })),
    }));
  }
}

/** @param {ModelOption} a @param {ModelOption | null} b */
function same(a, b) {
  return b !== null && a.backend === b.backend && a.provider === b.provider && a.model === b.model;
}
