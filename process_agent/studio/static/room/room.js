/**
 * Membership in the room: presence and messages, over a connection that is taken up again when it breaks.
 */

import { delayBefore } from "../wire/backoff.js";
import { Connection, ConnectionLost } from "./connection.js";
import { upload } from "./upload.js";

/**
 * @typedef {import("../wire/frames.js").Body} Body
 * @typedef {{id: string, role: string, attributes: Body}} Participant
 * @typedef {{send: (json: Body) => void, close: () => void}} Stream
 */

/**
 * What the room tells its owner.
 * @typedef {{type: "phase", phase: "connecting" | "online" | "waiting" | "ended" | "signed-out", retryAt?: number, reason?: string}
 *   | {type: "self", id: string, name: string, room: string}
 *   | {type: "participants", participants: Participant[]}
 *   | {type: "joined", participant: Participant}
 *   | {type: "left", id: string}
 *   | {type: "attributes", id: string, attributes: Body}
 *   | {type: "message", from: string, kind: string, message: Body}} RoomEvent
 */

/** Close codes after which the room does not want us back. */
const FINAL = (/** @type {number} */ code) => code === 1008 || (code >= 4000 && code < 5000);

export class Room {
  /**
   * @param {string} name
   * @param {(event: RoomEvent) => void} tell
   * @param {() => Promise<boolean | null>} signedIn true, false, or null when the server cannot be asked
   */
  constructor(name, tell, signedIn) {
    this.name = name;
    this.tell = tell;
    this.signedIn = signedIn;
    this.attempt = 0;
    this.timer = 0;
    /** @type {Connection | null} */
    this.connection = null;
    /** Present from `messaging.enabled` on. @type {Map<string, Participant>} */
    this.participants = new Map();
    window.addEventListener("online", () => this.retryNow());
    document.addEventListener(
      "visibilitychange",
      () => document.visibilityState === "visible" && this.retryNow(),
    );
  }

  connect() {
    window.clearTimeout(this.timer);
    this.timer = 0;
    this.tell({ type: "phase", phase: "connecting" });
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const connection = new Connection(`${scheme}//${location.host}/rooms/${encodeURIComponent(this.name)}`, {
      ready: (start) => void this.#ready(connection, start),
      message: (type, body) => type === "messaging.send" && this.#heard(body),
      closed: (code, reason) => void this.#closed(connection, code, reason),
    });
    this.connection = connection;
  }

  /** Gives up the connection, if there is one. */
  leave() {
    const current = this.connection;
    this.connection = null;
    current?.close();
  }

  /** Ends the wait between two attempts. */
  retryNow() {
    if (this.timer) this.connect();
  }

  /**
   * Sends one message to one participant. Throws `RoomError` (1003: not there), `ConnectionLost`.
   * @param {string} to
   * @param {string} kind
   * @param {Body} message
   */
  async send(to, kind, message) {
    await this.#live().invoke("messaging", "send", envelope(kind, message, to));
  }

  /**
   * Opens a messaging stream (room protocol, section 9.1).
   * @param {string} to
   * @param {string} kind
   * @param {Body} message
   * @param {{message: (message: Body) => void, closed: (error: Error | null) => void}} ears
   * @returns {Promise<{send: (kind: string, message: Body) => void, close: () => void}>}
   */
  async stream(to, kind, message, ears) {
    const opened = await this.#live().openStream("messaging", "stream", json(envelope(kind, message, to)), {
      chunk: (json) => {
        if (json.kind === "message") ears.message(json.message);
        else if (json.kind === "closed" || json.kind === "client_disconnected") {
          opened.close();
          ears.closed(null);
        }
      },
      closed: ears.closed,
    });
    return { send: (next, body) => opened.send(json(envelope(next, body))), close: opened.close };
  }

  /**
   * Keeps a file in the room's storage, under a path that is free. Throws `RoomError`, `ConnectionLost`, or what
   * ended `signal`.
   * @param {string} path
   * @param {File} file
   * @param {(share: number) => void} told how much of it is there, from 0 to 1
   * @param {AbortSignal} signal
   */
  async upload(path, file, told, signal) {
    await upload(this.#live(), path, file, told, signal);
  }

  /** Takes a file out of the room's storage again. Throws `RoomError`, `ConnectionLost`. @param {string} path */
  async discard(path) {
    await this.#live().invoke("storage", "delete", { path, recursive: false });
  }

  /** The same while the page is left, when what a websocket sends may be lost. @param {string[]} paths */
  abandon(paths) {
    const body = new Blob([JSON.stringify({ paths })], { type: "application/json" });
    navigator.sendBeacon(`/rooms/${encodeURIComponent(this.name)}/discarded`, body);
  }

  /**
   * An address of this very server under which a stored file can be read for a while; null when the room has
   * no such file, or no storage. Whatever host the answer names, only its path counts.
   * @param {string} path
   * @param {boolean} [save] whether the browser shall save it rather than show it
   * @returns {Promise<string | null>}
   */
  async fileAddress(path, save = false) {
    try {
      const answer = await this.#live().invoke("storage", "download_url", { path, download: save });
      const url = new URL(String(answer.json?.url), location.origin);
      return url.pathname + url.search;
    } catch {
      return null;
    }
  }

  /** Where this server shows an image of the room's table. @param {string} id */
  imageAddress(id) {
    return `/rooms/${encodeURIComponent(this.name)}/images/${encodeURIComponent(id)}`;
  }

  /**
   * What an agent used by day and by model, and one of its threads. Rejects when the server does not say.
   * @param {string} agent
   * @param {string} thread
   * @returns {Promise<import("../view/usage_panel.js").Usage>}
   */
  async usage(agent, thread) {
    const query = new URLSearchParams({ agent, thread });
    const answer = await fetch(`/rooms/${encodeURIComponent(this.name)}/usage?${query}`);
    if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
    return answer.json();
  }

  #live() {
    if (!this.connection) throw new ConnectionLost("not connected to the room");
    return this.connection;
  }

  /** @param {Connection} connection @param {Body} start */
  async #ready(connection, start) {
    this.tell({
      type: "self",
      id: start.participantId,
      name: start.attributes?.name ?? "",
      room: start.room_name ?? this.name,
    });
    try {
      await connection.invoke("messaging", "enable", {});
    } catch (error) {
      if (!(error instanceof ConnectionLost)) connection.close(String(error));
    }
  }

  /** @param {Body} body */
  #heard({ from_participant_id: from, type, message }) {
    switch (type) {
      case "messaging.enabled":
        this.participants = new Map(message.participants.map((/** @type {Participant} */ p) => [p.id, p]));
        this.attempt = 0;
        this.tell({ type: "participants", participants: [...this.participants.values()] });
        this.tell({ type: "phase", phase: "online" });
        break;
      case "participant.enabled":
        this.participants.set(message.id, message);
        this.tell({ type: "joined", participant: message });
        break;
      case "participant.disabled":
        this.participants.delete(message.id);
        this.tell({ type: "left", id: message.id });
        break;
      case "participant.attributes":
        this.#changed(from, message.attributes);
        break;
      default:
        this.tell({ type: "message", from, kind: type, message });
    }
  }

  /** @param {string} id @param {Body} attributes */
  #changed(id, attributes) {
    const known = this.participants.get(id);
    if (!known) return;
    this.participants.set(id, { ...known, attributes: { ...known.attributes, ...attributes } });
    this.tell({ type: "attributes", id, attributes });
  }

  /** @param {Connection} connection @param {number} code @param {string} reason */
  async #closed(connection, code, reason) {
    if (this.connection !== connection) return;
    this.connection = null;
    this.participants.clear();
    if (FINAL(code)) {
      this.tell({ type: "phase", phase: "ended", reason: reason || "The room ended this connection." });
      return;
    }
    const wait = delayBefore(this.attempt);
    this.attempt += 1;
    this.tell({ type: "phase", phase: "waiting", retryAt: Date.now() + wait, reason });
    this.timer = window.setTimeout(() => this.connect(), wait);
    // The browser does not say why an upgrade was refused, so ask whether the session still counts.
    if ((await this.signedIn()) === false) {
      window.clearTimeout(this.timer);
      this.timer = 0;
      this.leave();
      this.tell({ type: "phase", phase: "signed-out" });
    }
  }
}

/**
 * The input of `messaging.send` and the chunks of `messaging.stream`.
 * @param {string} kind
 * @param {Body} message
 * @param {string} [to]
 */
function envelope(kind, message, to) {
  const common = { type: kind, message_json: JSON.stringify(message), attachment_base64: null };
  return to === undefined ? common : { to_participant_id: to, ...common };
}

/** @param {Body} value @returns {Body} the content of a chunk */
function json(value) {
  return { type: "json", json: value };
}
