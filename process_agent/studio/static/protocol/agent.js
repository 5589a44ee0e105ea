/** The client half of the agent protocol, for one agent that is in the room. */

import { ConnectionLost } from "../room/connection.js";
import { delayBefore } from "../wire/backoff.js";
import { newId } from "../wire/ids.js";
import { PREFIX } from "../model/thread.js";
import { cleanMessage } from "./clean.js";
import { Seen } from "./seen.js";

/**
 * @typedef {import("../wire/frames.js").Body} Body
 * @typedef {import("../model/types.js").ContentPart} ContentPart
 * @typedef {import("../model/types.js").Choice} Choice
 * @typedef {{send: (kind: string, message: Body) => void, close: () => void}} Line
 */

/**
 * @typedef {object} Ears
 * @property {(message: Body) => void} message the agent said something
 * @property {(id: string, error: string) => void} failed a message with this id did not reach the agent
 * @property {(path: string) => void} lost the agent ended the stream of the open thread; open it again
 */

const KIND = "agent-message";
const THREAD_STREAM = "meshagent.chat.thread.subscribe";
const LIST_STREAM = "meshagent.chat.thread_list.subscribe";
const PAGE = 200;

export class AgentClient {
  /**
   * @param {import("../room/room.js").Room} room
   * @param {import("../model/types.js").Member} member
   * @param {Ears} ears
   */
  constructor(room, member, ears) {
    this.room = room;
    this.id = member.id;
    this.name = member.name;
    this.ears = ears;
    this.closed = false;
    this.seen = new Seen();
    /** Path of the thread that is open. @type {string | null} */
    this.path = null;
    /** @type {Line | null} */
    this.threadLine = null;
    /** @type {Line | null} */
    this.listLine = null;
    this.attempt = 0;
    this.timer = 0;
  }

  /** Asks for the thread list, its changes, and the models. */
  async attach() {
    await this.#openList();
    this.list(0);
    this.#say({ type: "models.request" });
  }

  /** Asks for the page of the thread list that begins there. @param {number} offset */
  list(offset) {
    this.#say({ type: "thread.list", limit: PAGE, offset });
  }

  /** The participant left, or another agent is chosen: no more messages come from here. */
  detach() {
    this.closed = true;
    window.clearTimeout(this.timer);
    this.threadLine?.close();
    this.listLine?.close();
  }

  /** A message of this agent, from its stream or unary. @param {unknown} body */
  heard(body) {
    const message = cleanMessage(body);
    if (this.closed || !message?.type.startsWith(PREFIX)) return;
    if (message.thread_id && message.thread_id === this.path && this.seen.before(message.message_id)) return;
    if (message.type === `${PREFIX}thread.loaded`) this.attempt = 0;
    this.ears.message(message);
  }

  /**
   * Opens a thread, with its history when `load`, of which the last `limit` turns; the former one is closed.
   * Agents that know nothing of `limit` send as much as they like.
   * @param {string} path
   * @param {boolean} load
   * @param {number} [limit]
   */
  async open(path, load, limit) {
    this.closeThread();
    this.path = path;
    this.seen = new Seen();
    const paging = limit === undefined ? {} : { metadata: { process: { limit } } };
    const message = complete({ type: "thread.open", thread_id: path, load, ...paging });
    if (this.#hasStreams()) {
      try {
        const line = await this.#stream(THREAD_STREAM, message, () => this.#threadLineEnded(path));
        if (this.path === path && !this.closed) this.threadLine = line;
        else line.close();
        return;
      } catch (error) {
        if (error instanceof ConnectionLost || this.closed || this.path !== path) return;
      }
    }
    this.#send(message);
  }

  /** Asks for turns before those that came. @param {string} id @param {string} path @param {string} before @param {number} limit */
  older(id, path, before, limit) {
    this.#say({ type: "thread.open", thread_id: path, load: false, metadata: { process: { before, limit } } }, id);
  }

  closeThread() {
    window.clearTimeout(this.timer);
    const path = this.path;
    this.path = null;
    if (this.threadLine) this.threadLine.close();
    else if (path) this.#say({ type: "thread.close", thread_id: path });
    this.threadLine = null;
  }

  /** @param {string} id @param {ContentPart[]} content @param {Partial<Choice>} wish */
  startThread(id, content, wish) {
    this.#say({ type: "thread.start", content, ...wish }, id);
  }

  /** @param {string} id @param {string} path @param {ContentPart[]} content @param {Partial<Choice>} wish */
  startTurn(id, path, content, wish) {
    this.#say({ type: "turn.start", thread_id: path, content, ...wish }, id);
  }

  /** @param {string} id @param {string} path @param {string} turnId @param {ContentPart[]} content */
  steer(id, path, turnId, content) {
    this.#say({ type: "turn.steer", thread_id: path, turn_id: turnId, content }, id);
  }

  /** @param {string} path @param {string} turnId */
  interrupt(path, turnId) {
    this.#say({ type: "turn.interrupt", thread_id: path, turn_id: turnId });
  }

  /**
   * Decides about what a turn waits for. Returns the id that a refusal will name.
   * @param {string} path
   * @param {string} turnId
   * @param {string} itemId
   * @param {import("../model/types.js").Decided} decided
   */
  decide(path, turnId, itemId, { decision, answers }) {
    const type = decision.startsWith("accept") ? "tool_call.approve" : "tool_call.reject";
    const own = answers ? { decision, answers } : { decision };
    return this.#say({
      type,
      thread_id: path,
      turn_id: turnId,
      item_id: itemId,
      metadata: { process: own },
    });
  }

  /** @param {string} path @param {string} name */
  rename(path, name) {
    this.#say({ type: "thread.rename", thread_id: path, name });
  }

  /** @param {string} path */
  remove(path) {
    this.#say({ type: "thread.delete", thread_id: path });
  }

  /** @param {string} path */
  clear(path) {
    this.#say({ type: "thread.clear", thread_id: path });
  }

  /**
   * Answers what a turn asks the user of this page for.
   * @param {string} path
   * @param {string} turnId
   * @param {string} requestId
   * @param {Body} answer `value`, or `authorization_code` and `redirect_uri`, or `error`
   */
  answerSecret(path, turnId, requestId, answer) {
    const about = { thread_id: path, turn_id: turnId, request_id: requestId };
    this.#say({ type: "secret.response", ...about, ...answer });
  }

  /** Returns the id that a refusal will name. @param {string} path @param {Choice} choice */
  changeModel(path, choice) {
    return this.#say({ type: "model.change", thread_id: path, ...choice });
  }

  async #openList() {
    const watch = complete({ type: "thread.watch" });
    if (this.#hasStreams()) {
      try {
        this.listLine = await this.#stream(LIST_STREAM, watch, () => {
          this.listLine = null;
        });
        return;
      } catch (error) {
        if (error instanceof ConnectionLost || this.closed) return;
      }
    }
    this.#send(watch);
  }

  /** Asked each time: an agent may say so only after it said that it chats. */
  #hasStreams() {
    return this.room.participants.get(this.id)?.attributes.supports_messaging_streams === true;
  }

  /** @param {string} kind @param {Body} message @param {() => void} ended */
  #stream(kind, message, ended) {
    return this.room.stream(this.id, kind, message, {
      message: (body) => this.heard(body),
      closed: (error) => {
        if (!(error instanceof ConnectionLost) && !this.closed) ended();
      },
    });
  }

  /** The agent ended the stream although it is still here: open again, more slowly each time. @param {string} path */
  #threadLineEnded(path) {
    if (this.path !== path) return;
    this.threadLine = null;
    const wait = delayBefore(this.attempt);
    this.attempt += 1;
    this.timer = window.setTimeout(() => this.path === path && this.ears.lost(path), wait);
  }

  /** @param {Body} body @param {string} [id] */
  #say(body, id = newId()) {
    this.#send(complete(body, id));
    return id;
  }

  /** Down the thread's stream when it is open, else unary. @param {Body} message */
  #send(message) {
    if (this.threadLine && message.thread_id === this.path) {
      try {
        this.threadLine.send(KIND, message);
        return;
      } catch {
        this.threadLine = null;
      }
    }
    this.room.send(this.id, KIND, message).catch((error) => {
      const text = error.code === 1003 ? `${this.name} is not in the room any more.` : error.message;
      this.ears.failed(message.message_id, text);
    });
  }
}

/** @param {Body} body @param {string} [id] @returns {Body} */
function complete(body, id = newId()) {
  return { ...body, type: PREFIX + body.type, message_id: id };
}
