/** Puts room, agent and views together: what the user does goes out, what is heard goes into the store. */

import { readAddress, showAddress } from "./address.js";
import { agentToChoose, asksForNewThread, currentAgent, nextInput, onlyThread, stoppable, wish } from "./model/select.js";
import { PAGE_TURNS } from "./model/older.js";
import { PREFIX } from "./model/thread.js";
import { AgentClient } from "./protocol/agent.js";
import { RoomError } from "./room/connection.js";
import { Room } from "./room/room.js";
import { openSession, signedIn, takeCode } from "./room/session.js";
import { Store } from "./store.js";
import { Shell } from "./view/shell.js";
import { showUsage } from "./view/usage_panel.js";
import { newId } from "./wire/ids.js";

/**
 * @typedef {import("./model/types.js").Actions} Actions
 * @typedef {import("./wire/frames.js").Body} Body
 * @typedef {import("./model/types.js").Choice} Choice
 * @typedef {import("./model/types.js").ContentPart} ContentPart
 * @typedef {import("./model/types.js").Pending} Pending
 * @typedef {import("./room/room.js").RoomEvent} RoomEvent
 */

/** Time for the agent to start a thread (agent protocol, section 10). */
const START_MS = 30_000;
/** Time for the agent to begin to send a thread, and to go on with it. */
const OPEN_MS = 15_000;
const NOTICE_MS = 8_000;
/** The room's code for what a token does not grant. */
const MAY_NOT = 1001;
const NO_UPLOADS = "Your link does not let you put files into this room.";
/** Rejections after which a steer is worth sending as a turn of its own. */
const TOO_LATE = new Set(["turn_not_in_progress", "turn_ended"]);

/** @implements {Actions} */
export class App {
  /** @param {HTMLElement} root */
  constructor(root) {
    this.shell = new Shell(root, this);
    this.store = new Store((state, before) => this.shell.render(state, before));
    /** @type {Room | null} */
    this.room = null;
    /** @type {AgentClient | null} */
    this.agent = null;
    /** Message id of the last change of the model. @type {string | null} */
    this.choiceId = null;
    this.openTimer = 0;
    /** What was decided here, by the id of the message. @type {Map<string, {turnId: string, itemId: string}>} */
    this.decisions = new Map();
    window.addEventListener("popstate", () => this.#addressChanged());
  }

  async start() {
    const address = readAddress();
    this.store.dispatch({ type: "address", agent: address.agent, thread: address.thread });
    let session;
    try {
      session = await openSession(takeCode());
    } catch {
      this.store.dispatch({ type: "gate", gate: "unreachable" });
      return;
    }
    if (!session) {
      this.store.dispatch({ type: "gate", gate: "signed-out" });
      return;
    }
    this.store.dispatch({ type: "session", session });
    this.room = new Room(session.room, (event) => this.#roomSaid(event), signedIn);
    this.room.connect();
  }

  showUsage() {
    const { agent, wanted } = this.store.state;
    if (this.room && agent) showUsage(this.room.usage(agent, wanted ?? ""));
  }

  newThread() {
    if (onlyThread(this.store.state)) return;
    this.agent?.closeThread();
    this.store.dispatch({ type: "thread.new" });
    showAddress(null, false);
    this.shell.composer.focus();
  }

  /** @param {string} path */
  openThread(path) {
    if (this.store.state.thread?.path === path) return;
    showAddress(path, false);
    this.#open(path);
    this.shell.composer.focus();
  }

  /** @param {string} path @param {string} name */
  rename(path, name) {
    this.agent?.rename(path, name);
  }

  /** @param {string} path */
  remove(path) {
    this.agent?.remove(path);
  }

  /** @param {string} path */
  clear(path) {
    this.agent?.clear(path);
  }

  moreThreads() {
    this.agent?.list(this.store.state.threads.entries.length);
  }

  olderTurns() {
    const { thread } = this.store.state;
    if (!thread?.older || thread.olderPage || thread.loading || !this.agent) return;
    const id = newId();
    this.store.dispatch({ type: "thread.older", id });
    this.agent.older(id, thread.path, thread.older, PAGE_TURNS);
  }

  openAgain() {
    const { thread } = this.store.state;
    if (thread) this.#open(thread.path);
  }

  /** @type {import("./view/picture.js").FindFile} */
  async findFile(wanted) {
    if (!this.room) return null;
    return "image" in wanted ? this.room.imageAddress(wanted.image) : this.room.fileAddress(wanted.file, wanted.save);
  }

  /** @param {import("./model/types.js").AskedSecret} asked @param {string | null} value null refuses */
  answerSecret(asked, value) {
    const { thread } = this.store.state;
    if (!thread || !this.agent) return;
    const given =
      asked.login === null
        ? { value }
        : { authorization_code: value, ...(asked.redirect && { redirect_uri: asked.redirect }) };
    const answer = value === null ? { error: "The person who was asked refused." } : given;
    this.agent.answerSecret(thread.path, asked.turnId, asked.id, answer);
    this.store.dispatch({ type: "secret.answered", id: asked.id });
  }

  /** Throws what keeps the room from having the file. @type {Actions["upload"]} */
  async upload(path, file, told, signal) {
    if (!this.room) throw new Error("The page is not connected to the room.");
    try {
      await this.room.upload(path, file, told, signal);
    } catch (error) {
      throw error instanceof RoomError && error.code === MAY_NOT ? new Error(NO_UPLOADS) : error;
    }
  }

  /** What is no part of a message any more. Who may not delete leaves it in the room. @param {string} path */
  discard(path) {
    this.room?.discard(path).catch((error) => {
      if (!(error instanceof RoomError)) this.#notice(`${path} stays in the room: ${error.message}`, "error");
    });
  }

  /** @param {string[]} paths */
  abandon(paths) {
    this.room?.abandon(paths);
  }

  /** @param {ContentPart[]} content @param {boolean} queue as a turn of its own, although the running one could be steered */
  send(content, queue) {
    if (asksForNewThread(content) && !onlyThread(this.store.state)) {
      this.newThread();
      return;
    }
    const next = nextInput(this.store.state);
    if (next.kind === "start") this.#startThread(content);
    else if (next.kind === "steer" && !queue) this.#steer(content, next.turnId);
    else if (next.kind !== "wait") this.#startTurn(content);
    this.shell.timeline.toEnd();
  }

  /** @param {string} text */
  suggest(text) {
    this.shell.composer.fill(text);
  }

  /** @param {Pending} entry */
  resend(entry) {
    const next = nextInput(this.store.state);
    if (next.kind === "wait") return;
    this.store.dispatch({ type: "input.dropped", id: entry.id });
    if (!this.store.state.thread) this.#startThread(entry.content);
    else this.#startTurn(entry.content);
  }

  /** @param {Pending} entry */
  drop(entry) {
    this.store.dispatch({ type: "input.dropped", id: entry.id });
  }

  stop() {
    const { thread } = this.store.state;
    const running = stoppable(this.store.state);
    if (thread && running && !running.stopping) this.agent?.interrupt(thread.path, running.turnId);
  }

  /** @param {string} turnId @param {string} itemId @param {import("./model/types.js").Decided} decided */
  decide(turnId, itemId, decided) {
    const { thread } = this.store.state;
    if (!thread || !this.agent) return;
    this.store.dispatch({ type: "approval.answered", turnId, itemId });
    this.decisions.set(this.agent.decide(thread.path, turnId, itemId, decided), { turnId, itemId });
  }

  /** @param {Choice} choice */
  pickModel(choice) {
    this.store.dispatch({ type: "choice", choice });
    const { thread } = this.store.state;
    if (thread) this.choiceId = this.agent?.changeModel(thread.path, choice) ?? null;
  }

  /** @param {string} name */
  chooseAgent(name) {
    if (name === this.store.state.agent) return;
    showAddress(null, false);
    this.store.dispatch({ type: "thread.new" });
    this.#attach(name);
  }

  retryNow() {
    if (this.room && !this.room.connection) this.room.connect();
  }

  /** @param {string} id */
  dismiss(id) {
    this.store.dispatch({ type: "notice.gone", id });
  }

  /** @param {ContentPart[]} content */
  #startThread(content) {
    const id = newId();
    const asked = wish(this.store.state);
    this.store.dispatch({ type: "thread.starting", id, content });
    this.agent?.startThread(id, content, asked);
    const late = "The agent did not answer. It may be busy, or gone.";
    window.setTimeout(() => {
      if (this.store.state.starting?.id === id)
        this.store.dispatch({ type: "input.failed", id, error: late });
    }, START_MS);
  }

  /** @param {ContentPart[]} content */
  #startTurn(content) {
    const { thread } = this.store.state;
    if (!thread) return;
    const id = newId();
    this.store.dispatch({ type: "input.sent", id, kind: "turn", content, turnId: null });
    this.agent?.startTurn(id, thread.path, content, wish(this.store.state));
  }

  /** @param {ContentPart[]} content @param {string} turnId */
  #steer(content, turnId) {
    const { thread } = this.store.state;
    if (!thread) return;
    const id = newId();
    this.store.dispatch({ type: "input.sent", id, kind: "steer", content, turnId });
    this.agent?.steer(id, thread.path, turnId, content);
  }

  /** @param {RoomEvent} event */
  #roomSaid(event) {
    if (event.type === "message") {
      if (event.kind === "agent-message" && event.from === this.agent?.id) this.agent.heard(event.message);
      return;
    }
    this.store.dispatch({ type: "room", event });
    if (event.type === "phase" && event.phase !== "online") this.#detach();
    else if (event.type !== "self") this.#rosterChanged();
  }

  /** The agent talked to may have come, gone, or come back under a new id. */
  #rosterChanged() {
    const state = this.store.state;
    if (state.connection.phase !== "online") return;
    const present = currentAgent(state);
    if (this.agent && this.agent.id !== present?.id) this.#detach();
    if (this.agent) return;
    const name = agentToChoose(state);
    if (name) this.#attach(name);
  }

  #detach() {
    this.agent?.detach();
    this.agent = null;
  }

  /** @param {string} name */
  #attach(name) {
    this.#detach();
    this.store.dispatch({ type: "agent.chosen", name });
    const state = this.store.state;
    const member = currentAgent(state);
    if (!member || !this.room) return;
    const client = new AgentClient(this.room, member, {
      message: (message) => this.agent === client && this.#agentSaid(message),
      failed: (id, error) => this.#sendFailed(id, error),
      lost: (path) => this.#open(path),
    });
    this.agent = client;
    void client.attach();
    const only = onlyThread(state);
    const path = only ?? state.thread?.path ?? state.wanted;
    if (only && only !== state.wanted) showAddress(only, true);
    if (path) this.#open(path);
  }

  /** @param {string} path */
  #open(path) {
    const known = this.store.state.thread;
    const shown = known?.path === path ? (known.previous ?? known).turns.length : 0;
    this.store.dispatch({ type: "thread.opening", path });
    if (!this.agent) return;
    void this.agent.open(path, true, Math.max(PAGE_TURNS, shown));
    this.#expect(path);
  }

  /** Says so when the agent sends nothing (more) of a thread that is loading. @param {string} path */
  #expect(path) {
    window.clearTimeout(this.openTimer);
    this.openTimer = window.setTimeout(() => {
      if (this.agent) this.store.dispatch({ type: "thread.late", path });
    }, OPEN_MS);
  }

  /** @param {Body} message */
  #agentSaid(message) {
    const before = this.store.state;
    const type = String(message.type).slice(PREFIX.length);
    const steer = before.thread?.pending.find(
      (entry) => entry.id === message.source_message_id && entry.mine,
    );
    this.store.dispatch({ type: "agent", message, at: Date.now() });
    if (before.thread?.loading && before.thread.path === message.thread_id) this.#expect(message.thread_id);
    if (type === "thread.started" && before.starting?.id === message.source_message_id) {
      showAddress(message.thread_id, false);
      void this.agent?.open(message.thread_id, false);
    } else if (type === "thread.deleted" && before.wanted === message.path) {
      showAddress(null, true);
      this.#notice("This thread was deleted.");
    } else if (type === "thread.event" && message.event?.type === "model_change_rejected") {
      this.#refused(message);
    } else if (type === "turn.steer.rejected" && steer && TOO_LATE.has(message.error?.code)) {
      this.store.dispatch({ type: "input.dropped", id: steer.id });
      this.#startTurn(steer.content);
    }
  }

  /**
   * A request was refused that has no answer of its own (agent protocol, section 3.6): a thread that cannot be
   * opened, a name, a model.
   * @param {Body} message
   */
  #refused(message) {
    this.#notice(message.event.error?.message ?? "The agent refused this.", "error");
    const decision = this.decisions.get(message.event.source_message_id);
    if (decision) this.store.dispatch({ type: "approval.refused", ...decision });
    const { thread } = this.store.state;
    if (this.choiceId !== null && message.event.source_message_id === this.choiceId) {
      this.store.dispatch({ type: "choice", choice: null });
    } else if (thread?.loading && thread.path === message.thread_id) {
      this.store.dispatch({ type: "thread.new" });
      showAddress(null, true);
    }
  }

  /** @param {string} id @param {string} error */
  #sendFailed(id, error) {
    const { starting, thread } = this.store.state;
    const isInput = starting?.id === id || thread?.pending.some((entry) => entry.id === id);
    if (isInput) this.store.dispatch({ type: "input.failed", id, error });
    else if (this.store.state.connection.phase === "online") this.#notice(error, "error");
  }

  #addressChanged() {
    const { thread } = readAddress();
    if (thread) this.#open(thread);
    else this.store.dispatch({ type: "thread.new" });
  }

  /** @param {string} text @param {"info" | "error"} [level] */
  #notice(text, level = "info") {
    const id = newId();
    this.store.dispatch({ type: "notice", notice: { id, level, text } });
    window.setTimeout(() => this.dismiss(id), NOTICE_MS);
  }
}
