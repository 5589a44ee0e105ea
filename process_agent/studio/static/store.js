/** Holds the state and tells its listener at most once per frame. */

import { INITIAL, reduce } from "./model/state.js";

/**
 * @typedef {import("./model/types.js").State} State
 * @typedef {import("./model/state.js").Action} Action
 */

export class Store {
  /** @param {(state: State, before: State) => void} render */
  constructor(render) {
    this.render = render;
    /** @type {State} */
    this.state = INITIAL;
    /** @type {State} */
    this.rendered = INITIAL;
    this.frame = 0;
  }

  /** @param {Action} action */
  dispatch(action) {
    this.state = reduce(this.state, action);
    if (!this.frame && this.state !== this.rendered) {
      this.frame = requestAnimationFrame(() => this.flush());
    }
  }

  flush() {
    this.frame = 0;
    const before = this.rendered;
    this.rendered = this.state;
    this.render(this.state, before);
  }
}
