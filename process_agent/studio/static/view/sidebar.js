/** The room: its threads and who is in it. */

import { agents, onlyThread, people, threadGroups } from "../model/select.js";
import { h, Keyed, setAttribute, setText } from "./dom.js";
import { icon } from "./icons.js";
import { themeButton } from "./theme.js";
import { threadRow } from "./thread_row.js";

/**
 * @typedef {import("../model/types.js").State} State
 * @typedef {import("../model/select.js").Person} Person
 */

const PHASES = {
  online: "Connected",
  connecting: "Connecting",
  waiting: "Reconnecting",
  ended: "Disconnected",
};

export class Sidebar {
  /** @param {import("../model/types.js").Actions} actions */
  constructor(actions) {
    this.actions = actions;
    this.room = h("h1", { class: "room-name" });
    this.dot = h("span", { class: "dot", role: "img" });
    this.fresh = h(
      "button",
      { type: "button", class: "new-thread", on: { click: () => actions.newThread() } },
      icon("plus"),
      "New thread",
    );
    this.list = h("div", {});
    this.threads = h("nav", { class: "threads", "aria-label": "Threads" }, this.list);
    this.more = h(
      "button",
      { type: "button", class: "button more-threads", hidden: true, on: { click: () => actions.moreThreads() } },
      "Show more",
    );
    this.people = h("ul", { class: "people" });
    this.el = h(
      "aside",
      { class: "sidebar", id: "sidebar", "aria-label": "Room" },
      h("div", { class: "sidebar-head" }, this.room, this.dot),
      this.fresh,
      this.threads,
      h(
        "section",
        { class: "people-section", "aria-label": "Participants" },
        h("h2", { class: "side-label" }, "In this room"),
        this.people,
      ),
      h("div", { class: "sidebar-foot" }, h("span", { class: "brand" }, "process studio"), themeButton()),
    );
    this.threads.append(this.more);
    /** @type {Keyed<ReturnType<typeof threadGroups>[number]>} */
    this.groups = new Keyed(
      this.list,
      (group) => group.label,
      () => groupView(actions),
    );
    /** @type {State | null} */
    this.before = null;
  }

  /** @param {State} state */
  update(state) {
    const before = this.before;
    this.before = state;
    setText(this.room, state.session?.room ?? "");
    setAttribute(this.dot, "data-phase", state.connection.phase);
    setAttribute(this.dot, "aria-label", PHASES[state.connection.phase]);
    setAttribute(this.dot, "title", PHASES[state.connection.phase]);
    const only = onlyThread(state);
    setAttribute(this.fresh, "hidden", only !== null);
    setAttribute(this.fresh, "aria-current", !state.thread && !state.wanted ? "page" : null);
    if (
      !before ||
      before.threads !== state.threads ||
      before.wanted !== state.wanted ||
      onlyThread(before) !== only
    )
      this.#drawThreads(state, only);
    if (
      !before ||
      before.members !== state.members ||
      before.agent !== state.agent ||
      before.self !== state.self
    )
      this.#drawPeople(state);
  }

  /** @param {State} state @param {string | null} only the thread that is shown, when there is no other */
  #drawThreads(state, only) {
    const { entries, loaded, total } = state.threads;
    const groups = threadGroups(
      only === null ? entries : entries.filter((entry) => entry.path === only),
      Date.now(),
    );
    setAttribute(this.more, "hidden", only !== null || !loaded || entries.length >= total);
    this.groups.update(groups);
    for (const row of this.threads.querySelectorAll(".thread-link")) {
      setAttribute(row, "aria-current", row.dataset.path === state.wanted ? "page" : null);
    }
    setAttribute(this.threads, "data-empty", state.threads.loaded && groups.length === 0);
  }

  /** @param {State} state */
  #drawPeople(state) {
    const here = new Set(
      agents(state)
        .filter((m) => m.online)
        .map((m) => m.id),
    );
    const rows = people(state).map((m) =>
      personView(m, m.name === state.agent, here.has(m.id) ? () => this.actions.chooseAgent(m.name) : null),
    );
    this.people.replaceChildren(...rows);
  }
}

/** @param {import("../model/types.js").Actions} actions */
function groupView(actions) {
  const label = h("h2", { class: "side-label" });
  const list = h("ul", {});
  const el = h("section", {}, label, list);
  /** @type {Keyed<import("../model/types.js").ThreadEntry>} */
  const rows = new Keyed(
    list,
    (entry) => entry.path,
    () => threadRow(actions),
  );
  return {
    el,
    /** @param {ReturnType<typeof threadGroups>[number]} group */
    update(group) {
      label.textContent = group.label;
      rows.update(group.entries);
    },
  };
}

/** @param {Person} m @param {boolean} current @param {(() => void) | null} choose */
function personView(m, current, choose) {
  const inside = [
    h("span", {
      class: "dot",
      "data-phase": m.online ? "online" : "ended",
      role: "img",
      "aria-label": m.online ? "here" : "away",
    }),
    h("span", { class: "person-name" }, m.name || (m.role === "you" ? "you" : "unnamed")),
    m.clients > 1 &&
      h("span", { class: "clients", title: `${m.clients} windows or programs` }, `× ${m.clients}`),
    h("span", { class: "role" }, m.online ? m.role : `${m.role}, away`),
  ];
  const attributes = { class: "person", "data-online": m.online };
  if (!choose) return h("li", {}, h("span", attributes, ...inside));
  const title = current ? `You are talking to ${m.name}` : `Talk to ${m.name}`;
  return h(
    "li",
    {},
    h(
      "button",
      { ...attributes, type: "button", title, "aria-pressed": String(current), on: { click: choose } },
      ...inside,
    ),
  );
}
