/** Where messages are written. */

import { currentAgent, nextInput, stoppable } from "../model/select.js";
import { h, setAttribute, setText } from "./dom.js";
import { icon } from "./icons.js";
import { ContextMeter } from "./context_meter.js";
import { ModelPicker } from "./model_picker.js";

/** @typedef {import("../model/types.js").State} State */

/** Characters of one message; a longer text belongs in a file. */
const LIMIT = 200_000;
const HINTS = {
  start: "Enter sends",
  turn: "Enter sends",
  queue: "Enter queues it behind the running turn",
  steer: "Enter tells the agent while it works",
  wait: "",
};

export class Composer {
  /** @param {import("../app.js").Actions} actions */
  constructor(actions) {
    this.actions = actions;
    this.input = h("textarea", {
      rows: "1",
      maxlength: LIMIT,
      "aria-label": "Message",
      "aria-describedby": "composer-hint",
      enterkeyhint: "send",
      autocomplete: "off",
    });
    this.send = h(
      "button",
      { type: "submit", class: "round primary", "aria-label": "Send", title: "Send" },
      icon("send"),
    );
    this.stop = h(
      "button",
      { type: "button", class: "round", "aria-label": "Stop", title: "Stop (Esc)" },
      icon("stop"),
    );
    this.hint = h("span", { class: "hint", id: "composer-hint" });
    this.models = new ModelPicker(actions);
    this.meter = new ContextMeter();
    this.el = h(
      "form",
      { class: "composer" },
      this.input,
      h("div", { class: "composer-bar" }, this.models.el, this.meter.el, this.hint, this.stop, this.send),
    );
    this.ready = false;
    /** Drafts by thread, for as long as the page lives. @type {Map<string, string>} */
    this.drafts = new Map();
    this.draftOf = "";
    this.el.addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      this.#submit(false);
    });
    this.input.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.#key(event));
    this.input.addEventListener("input", () => this.#typed());
    this.stop.addEventListener("click", () => actions.stop());
  }

  /** @param {State} state */
  update(state) {
    const next = nextInput(state);
    this.ready = next.kind !== "wait";
    this.#switchDraft(state.thread?.path ?? (state.starting ? this.draftOf : ""));
    const running = stoppable(state);
    setAttribute(this.stop, "hidden", !running);
    setAttribute(this.stop, "disabled", running?.stopping ?? false);
    setText(this.hint, HINTS[next.kind]);
    setAttribute(this.input, "placeholder", placeholder(state, next.kind));
    setAttribute(
      this.send,
      "aria-label",
      next.kind === "steer" ? "Send to the running turn" : next.kind === "queue" ? "Queue" : "Send",
    );
    this.models.update(state);
    this.meter.update(state);
    this.#typed();
  }

  focus() {
    this.input.focus({ preventScroll: true });
  }

  /** Puts a text in, for the user to send or change. @param {string} text */
  fill(text) {
    this.input.value = text;
    this.#typed();
    this.focus();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.#submit(event.ctrlKey || event.metaKey);
  }

  /** @param {boolean} queue */
  #submit(queue) {
    const text = this.input.value.trim();
    if (!text || !this.ready) return;
    this.input.value = "";
    this.#typed();
    this.actions.send(text, queue);
  }

  #typed() {
    setAttribute(this.send, "disabled", !this.ready || !this.input.value.trim());
    if (CSS.supports("field-sizing", "content")) return;
    this.input.style.height = "auto";
    this.input.style.height = `${this.input.scrollHeight}px`;
  }

  /** @param {string} path */
  #switchDraft(path) {
    if (path === this.draftOf) return;
    this.drafts.set(this.draftOf, this.input.value);
    this.draftOf = path;
    this.input.value = this.drafts.get(path) ?? "";
  }
}

/** @param {State} state @param {string} kind */
function placeholder(state, kind) {
  if (state.connection.phase !== "online") return "Connecting to the room…";
  if (!currentAgent(state)) return "Waiting for an agent…";
  if (state.thread?.late) return "Waiting for the thread…";
  if (state.thread?.loading) return "Loading the thread…";
  return kind === "steer" ? `Tell ${state.agent} more…` : `Message ${state.agent}`;
}
