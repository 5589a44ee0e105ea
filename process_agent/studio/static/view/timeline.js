/** The open thread: its turns, what waits, and the status line. Follows the end while the reader is there. */

import { runningTurn } from "../model/thread.js";
import { currentAgent, shownThread } from "../model/select.js";
import { h, Keyed, setAttribute, setText } from "./dom.js";
import { icon } from "./icons.js";
import { pendingView } from "./pending.js";
import { secretCard } from "./secret_card.js";
import { StatusLine } from "./status_line.js";
import { startScreen } from "./start_screen.js";
import { turnView } from "./turn.js";

/**
 * @typedef {import("../model/types.js").State} State
 * @typedef {import("../model/types.js").Turn} Turn
 * @typedef {import("../model/types.js").Pending} Pending
 * @typedef {import("../model/types.js").Actions} Actions
 */

/** Turns drawn at first, and added each time the reader asks for more. */
const PAGE = 40;
/** Pixels from the end within which the view follows it. */
const NEAR = 96;

export class Timeline {
  /** @param {Actions} actions */
  constructor(actions) {
    this.actions = actions;
    this.limit = PAGE;
    this.follow = true;
    /** @type {string | null} */
    this.path = null;
    /** The first turn known. @type {string | null} */
    this.first = null;
    this.earlier = h(
      "button",
      { type: "button", class: "button earlier", on: { click: () => this.#more() } },
      "Show earlier turns",
    );
    this.turns = h("div", { class: "turns" });
    this.secrets = h("div", { class: "secrets" });
    this.pending = h("div", { class: "pending" });
    this.status = new StatusLine();
    this.start = h("div", { class: "start" });
    this.column = h(
      "div",
      { class: "column" },
      this.earlier,
      this.start,
      this.turns,
      this.secrets,
      this.pending,
      this.status.el,
    );
    this.el = h(
      "div",
      { class: "timeline", role: "region", "aria-label": "Conversation", tabindex: "0" },
      this.column,
    );
    this.jump = h(
      "button",
      { type: "button", class: "jump", "aria-label": "Go to the latest message", hidden: true },
      icon("arrowDown"),
    );
    this.jump.addEventListener("click", () => this.toEnd());
    this.el.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    new ResizeObserver(() => this.follow && this.#stick()).observe(this.el);
    /** @type {Keyed<Turn> | null} */
    this.turnViews = null;
    /** @type {Keyed<Pending>} */
    this.pendingViews = new Keyed(
      this.pending,
      (entry) => entry.id,
      () => pendingView(actions),
    );
    /** @type {Keyed<import("../model/types.js").AskedSecret>} */
    this.secretViews = new Keyed(
      this.secrets,
      (asked) => `${asked.turnId} ${asked.id}`,
      (asked) =>
        secretCard(this.state?.agent ?? "The agent", asked, (value) => actions.answerSecret(asked, value)),
    );
    /** @type {State | null} */
    this.state = null;
  }

  /** @param {State} state */
  update(state) {
    this.state = state;
    const thread = shownThread(state);
    if (!this.turnViews || (thread?.path ?? null) !== this.path) this.#enter(state, thread?.path ?? null);
    const turns = thread?.turns ?? [];
    const before = this.el.scrollHeight - this.el.scrollTop;
    const came = this.#cameBefore(turns);
    this.#drawEarlier(state, turns.length);
    this.turnViews?.update(turns.slice(-this.limit));
    this.pendingViews.update(state.starting ? [state.starting] : [...(state.thread?.pending ?? [])]);
    this.secretViews.update(state.thread?.secrets ?? []);
    this.status.update(statusFor(state));
    this.#drawStart(state, turns.length === 0 && !state.starting && !state.thread?.pending.length);
    setAttribute(this.el, "aria-busy", state.thread?.loading ? "true" : null);
    if (this.follow) this.#stick();
    else this.#scrolled();
    if (came) this.el.scrollTop = this.el.scrollHeight - before;
  }

  /** Whether turns came before those known; some of them are shown at once. @param {Turn[]} turns */
  #cameBefore(turns) {
    const came = this.first === null ? 0 : turns.findIndex((turn) => turn.id === this.first);
    this.first = turns[0]?.id ?? null;
    if (came <= 0) return false;
    this.limit = turns.length - came + PAGE;
    this.follow = false;
    return true;
  }

  /** @param {State} state @param {number} known */
  #drawEarlier(state, known) {
    const thread = state.thread;
    const reading = thread?.olderPage !== null && thread?.olderPage !== undefined;
    setAttribute(this.earlier, "hidden", known <= this.limit && !thread?.older);
    setAttribute(this.earlier, "disabled", reading);
    setText(this.earlier, reading ? "Reading earlier turns" : "Show earlier turns");
  }

  /** Once a second. @param {number} now */
  tick(now) {
    this.status.tick(now);
  }

  toEnd() {
    this.follow = true;
    this.#stick();
  }

  /** @param {State} state @param {string | null} path */
  #enter(state, path) {
    this.path = path;
    this.first = null;
    this.limit = PAGE;
    this.follow = true;
    this.turns.replaceChildren();
    const agent = state.agent ?? "The agent";
    this.turnViews = new Keyed(
      this.turns,
      (turn) => turn.id,
      (turn) =>
        turnView({
          self: state.self?.name ?? null,
          agent,
          decide: (itemId, decided) => this.actions.decide(turn.id, itemId, decided),
          find: (wanted) => this.actions.findFile(wanted),
        }),
    );
  }

  #more() {
    const known = (this.state && shownThread(this.state)?.turns.length) ?? 0;
    if (known <= this.limit) {
      this.actions.olderTurns();
      return;
    }
    const before = this.el.scrollHeight - this.el.scrollTop;
    this.limit += PAGE;
    this.follow = false;
    if (this.state) this.update(this.state);
    this.el.scrollTop = this.el.scrollHeight - before;
  }

  #stick() {
    this.el.scrollTop = this.el.scrollHeight;
    setAttribute(this.jump, "hidden", true);
  }

  #scrolled() {
    const distance = this.el.scrollHeight - this.el.scrollTop - this.el.clientHeight;
    this.follow = distance < NEAR;
    setAttribute(this.jump, "hidden", this.follow);
  }

  /** @param {State} state @param {boolean} empty */
  #drawStart(state, empty) {
    setAttribute(this.start, "hidden", !empty);
    if (empty) startScreen(this.start, state, this.actions);
  }
}

/** @param {State} state @returns {import("./status_line.js").Shown | null} */
function statusFor(state) {
  const thread = state.thread;
  if (state.starting?.state === "sending") return { text: "Starting a thread", since: null };
  if (!thread || thread.loading) return null;
  const turn = runningTurn(thread);
  if (turn && !currentAgent(state)) return { text: "Waiting for the agent to come back", since: null };
  if (turn?.stopping) return { text: "Stopping", since: turn.startedAt };
  if (thread.status)
    return { text: thread.status.text, since: thread.status.startedAt ?? turn?.startedAt ?? null };
  return turn ? { text: "Working", since: turn.startedAt } : null;
}
