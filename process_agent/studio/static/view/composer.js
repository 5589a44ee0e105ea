/** Where messages are written. */

import { currentAgent, nextInput, stoppable } from "../model/select.js";
import { Attachments, filesIn } from "./attachments.js";
import { h, setAttribute, setText } from "./dom.js";
import { icon } from "./icons.js";
import { ContextMeter } from "./context_meter.js";
import { ModelPicker } from "./model_picker.js";

/**
 * @typedef {import("../model/types.js").State} State
 * @typedef {import("../model/types.js").ContentPart} ContentPart
 */

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
  /** @param {import("../model/types.js").Actions} actions */
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
    this.attachments = new Attachments(actions, () => this.#typed(), () => this.focus());
    this.picker = h("input", { type: "file", multiple: true, hidden: true, tabindex: "-1" });
    this.attach = h(
      "button",
      { type: "button", class: "quiet-button attach", "aria-label": "Attach files", title: "Attach files, or drop or paste them" },
      icon("clip"),
    );
    this.hint = h("span", { class: "hint", id: "composer-hint" });
    this.models = new ModelPicker(actions);
    this.meter = new ContextMeter(actions);
    this.el = h(
      "form",
      { class: "composer" },
      this.attachments.el,
      this.input,
      this.picker,
      h("div", { class: "composer-bar" }, this.attach, this.models.el, this.meter.el, this.hint, this.stop, this.send),
    );
    this.ready = false;
    this.words = "";
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
    this.attach.addEventListener("click", () => this.picker.click());
    this.picker.addEventListener("change", () => {
      this.#add([...(this.picker.files ?? [])], 0);
      this.picker.value = "";
    });
    this.input.addEventListener("paste", (/** @type {ClipboardEvent} */ event) => this.#pasted(event));
    this.#takeDrops();
  }

  /** @param {State} state */
  update(state) {
    const next = nextInput(state);
    this.ready = next.kind !== "wait";
    this.#switchDraft(state.thread?.path ?? (state.starting ? this.draftOf : ""));
    const running = stoppable(state);
    setAttribute(this.stop, "hidden", !running);
    setAttribute(this.stop, "disabled", running?.stopping ?? false);
    this.words = HINTS[next.kind];
    setAttribute(this.attach, "disabled", state.connection.phase !== "online");
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
    if (!this.#sendable()) return;
    const text = this.input.value.trim();
    this.input.value = "";
    const files = this.attachments.take();
    this.actions.send([...(text ? [/** @type {ContentPart} */ ({ type: "text", text })] : []), ...files], queue);
  }

  #sendable() {
    const { files, ready } = this.attachments;
    return this.ready && ready && (files.length > 0 || this.input.value.trim() !== "");
  }

  /** A table is both text and a picture of it: the text is meant. @param {ClipboardEvent} event */
  #pasted(event) {
    const { files, folders } = filesIn(event.clipboardData);
    if (files.length + folders === 0 || event.clipboardData?.types.includes("text/plain")) return;
    event.preventDefault();
    this.#add(files, folders);
  }

  /** Files may be dropped anywhere on the page. */
  #takeDrops() {
    let inside = 0;
    const carries = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files") ?? false;
    const show = (/** @type {number} */ depth) => {
      inside = Math.max(depth, 0);
      setAttribute(this.el, "data-dropping", inside > 0);
    };
    document.addEventListener("dragenter", (event) => carries(event) && show(inside + 1));
    document.addEventListener("dragleave", (event) => carries(event) && show(inside - 1));
    document.addEventListener("dragover", (event) => carries(event) && event.preventDefault());
    document.addEventListener("drop", (event) => {
      if (!carries(event)) return;
      event.preventDefault();
      show(0);
      const { files, folders } = filesIn(event.dataTransfer);
      this.#add(files, folders);
    });
  }

  /** @param {File[]} files @param {number} folders */
  #add(files, folders) {
    if (this.attach.disabled) this.attachments.refuse("Files can be attached once the page is connected to the room.");
    else this.attachments.add(files);
    if (folders > 0) this.attachments.refuse("Folders cannot be attached. Attach their files, or an archive.");
    this.focus();
  }

  #typed() {
    setAttribute(this.send, "disabled", !this.#sendable());
    setText(this.hint, this.attachments.ready ? this.words : "");
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
    this.attachments.show(path);
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
