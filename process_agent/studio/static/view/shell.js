/** The page as a whole. */

import { runningTurn } from "../model/thread.js";
import { Announcer } from "./announcer.js";
import { Banner } from "./banner.js";
import { Composer } from "./composer.js";
import { h, setAttribute } from "./dom.js";
import { showGate } from "./gate.js";
import { Header, threadName } from "./header.js";
import { Sidebar } from "./sidebar.js";
import { Timeline } from "./timeline.js";

/** @typedef {import("../model/types.js").State} State */

export class Shell {
  /** @param {HTMLElement} root @param {import("../model/types.js").Actions} actions */
  constructor(root, actions) {
    this.root = root;
    this.actions = actions;
    this.sidebar = new Sidebar(actions);
    this.header = new Header(() => this.#drawer(!this.#drawerIsOpen()));
    this.banner = new Banner(actions);
    this.timeline = new Timeline(actions);
    this.composer = new Composer(actions);
    this.announcer = new Announcer();
    const scrim = h("div", { class: "scrim", on: { click: () => this.#drawer(false) } });
    this.frame = h(
      "div",
      { class: "frame" },
      this.sidebar.el,
      scrim,
      h(
        "main",
        { class: "main" },
        this.header.el,
        this.banner.el,
        this.timeline.el,
        h("div", { class: "dock" }, this.timeline.jump, this.composer.el),
      ),
      this.banner.notices,
      this.announcer.el,
    );
    this.sidebar.el.addEventListener("click", (/** @type {Event} */ event) => {
      if (event.target instanceof Element && event.target.closest(".thread-link, .new-thread, .person"))
        this.#drawer(false);
    });
    document.addEventListener("keydown", (event) => this.#key(event));
    window.setInterval(() => this.#tick(), 1000);
  }

  /** @param {State} state @param {State} before */
  render(state, before) {
    if (state.gate === "loading") return;
    if (state.gate !== "open") {
      if (before.gate !== state.gate) showGate(this.root, state.gate);
      return;
    }
    if (!this.frame.isConnected) {
      this.root.replaceChildren(this.frame);
      this.composer.focus();
    }
    this.sidebar.update(state);
    this.header.update(state);
    this.banner.update(state);
    this.timeline.update(state);
    this.composer.update(state);
    this.announcer.update(state, before);
    const running = state.thread && runningTurn(state.thread) ? "● " : "";
    document.title = `${running}${threadName(state)} · ${state.session?.room ?? "Studio"}`;
  }

  #tick() {
    if (!this.frame.isConnected) return;
    this.timeline.tick(Date.now());
    this.banner.tick(Date.now());
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.key !== "Escape" || event.defaultPrevented || document.querySelector("dialog[open], .menu"))
      return;
    if (this.#drawerIsOpen()) this.#drawer(false);
    else this.actions.stop();
  }

  #drawerIsOpen() {
    return this.frame.getAttribute("data-drawer") === "true";
  }

  /** On narrow screens the sidebar is a drawer. @param {boolean} open */
  #drawer(open) {
    setAttribute(this.frame, "data-drawer", open);
    setAttribute(this.header.menu, "aria-expanded", String(open));
    if (open) this.sidebar.fresh.focus();
  }
}
