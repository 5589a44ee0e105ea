/**
 * One WebSocket to the room, from open to close: requests with their answers, and streamed calls.
 * Nothing here reconnects; `room.js` makes a new `Connection` for that.
 */

import { Assembler, encodeMessage } from "../wire/frames.js";
import { newId } from "../wire/ids.js";

/** @typedef {import("../wire/frames.js").Body} Body */

/** Time for the socket to open and the room to say it is ready. */
const START_MS = 10_000;
/** Time for an answer; the room answers at once or not at all. */
const ANSWER_MS = 30_000;
/** Bytes the socket may hold back before sending counts as stuck. */
const BUFFER_LIMIT = 8 * 1024 * 1024;
/** Ends a stream. */
const END = { type: "control", method: "close", status_code: 1000 };

/** The room answered with an error content. */
export class RoomError extends Error {
  /** @param {string} message @param {number | null} code */
  constructor(message, code) {
    super(message);
    this.code = code;
  }
}

/** The connection ended before the answer came. */
export class ConnectionLost extends Error {}

/**
 * A streamed call: `chunk` is called with each JSON chunk, or with the head of one that has bytes; `closed` once,
 * with null or what went wrong.
 * @typedef {{chunk: (json: Body) => void, closed: (error: Error | null) => void}} StreamEars
 */

/**
 * @typedef {object} Ears
 * @property {(body: Body) => void} ready both start messages are there: `{participantId, attributes, room_name}`
 * @property {(type: string, body: Body) => void} message a message of the room itself
 * @property {(code: number, reason: string, started: boolean) => void} closed once, at the end
 */

export class Connection {
  /** @param {string} url @param {Ears} ears */
  constructor(url, ears) {
    this.ears = ears;
    this.nextId = 1;
    this.started = false;
    this.over = false;
    /** @type {Body} */
    this.start = {};
    this.assembler = new Assembler();
    /** @type {Map<number, {resolve: (content: Body) => void, reject: (error: Error) => void, timer: number}>} */
    this.pending = new Map();
    /** @type {Map<string, StreamEars>} */
    this.streams = new Map();
    this.socket = new WebSocket(url);
    this.socket.binaryType = "arraybuffer";
    this.socket.onmessage = (event) => this.#received(event.data);
    this.socket.onclose = (event) => this.#ended(event.code, event.reason);
    this.timer = window.setTimeout(() => this.close("The room did not answer."), START_MS);
  }

  /**
   * Calls a tool of the room and returns the content of its answer. Throws `RoomError`, `ConnectionLost`.
   * @param {string} toolkit
   * @param {string} tool
   * @param {Body} args
   * @returns {Promise<Body>}
   */
  invoke(toolkit, tool, args) {
    return this.#request({
      toolkit,
      tool,
      participant_id: null,
      on_behalf_of_id: null,
      arguments: { type: "json", json: args },
      tool_call_id: newId().replaceAll("-", ""),
    });
  }

  /**
   * Opens a streamed call and sends its first chunk. Resolves once the other side took it.
   * @param {string} toolkit
   * @param {string} tool
   * @param {Body} first a chunk's content
   * @param {StreamEars} ears
   */
  async openStream(toolkit, tool, first, ears) {
    const callId = newId().replaceAll("-", "");
    this.streams.set(callId, ears);
    const answer = this.#request({
      toolkit,
      tool,
      participant_id: null,
      on_behalf_of_id: null,
      arguments: { type: "control", method: "open" },
      tool_call_id: callId,
    });
    this.#sendChunk(callId, first);
    try {
      await answer;
    } catch (error) {
      this.streams.delete(callId);
      throw error;
    }
    return {
      /** @param {Body} content @param {Uint8Array} [bytes] */
      send: (content, bytes) => this.#sendChunk(callId, content, bytes),
      /** Nothing more comes from here; the other side is still heard. */
      end: () => this.#sendChunk(callId, END),
      close: () => {
        if (!this.streams.delete(callId) || this.over) return;
        this.#sendChunk(callId, END);
      },
    };
  }

  /** Ends the connection from our side. @param {string} [reason] */
  close(reason = "") {
    this.socket.onclose = null;
    this.socket.close();
    this.#ended(1000, reason);
  }

  /** @param {Body} body @returns {Promise<Body>} */
  #request(body) {
    if (this.over) return Promise.reject(new ConnectionLost("not connected to the room"));
    return new Promise((resolve, reject) => {
      const id = this.#send("room.invoke_tool", body);
      const timer = window.setTimeout(() => {
        this.pending.delete(id);
        reject(new RoomError(`${body.toolkit}.${body.tool} gave no answer`, 1009));
      }, ANSWER_MS);
      this.pending.set(id, { resolve, reject, timer });
    });
  }

  /** @param {string} callId @param {Body} chunk @param {Uint8Array} [bytes] */
  #sendChunk(callId, chunk, bytes) {
    if (this.over) throw new ConnectionLost("not connected to the room");
    this.#send("room.tool_call_request_chunk", { tool_call_id: callId, chunk }, bytes);
  }

  /** @param {string} type @param {Body} body @param {Uint8Array} [bytes] */
  #send(type, body, bytes) {
    if (this.socket.bufferedAmount > BUFFER_LIMIT) {
      this.close("The room stopped reading.");
      throw new ConnectionLost("the room stopped reading");
    }
    const id = this.nextId;
    this.nextId += 1;
    for (const packet of encodeMessage(id, type, body, bytes)) this.socket.send(packet);
    return id;
  }

  /** @param {unknown} data */
  #received(data) {
    if (this.over || !(data instanceof ArrayBuffer)) return;
    let message;
    try {
      message = this.assembler.push(data);
    } catch (error) {
      this.close(`The room sent something unreadable: ${error instanceof Error ? error.message : error}`);
      return;
    }
    if (message) this.#route(message.id, message.type, message.body);
  }

  /** @param {number} id @param {string} type @param {Body} body */
  #route(id, type, body) {
    if (type === "__response__") this.#answered(id, body);
    else if (type === "room.tool_call_response_chunk") this.#streamed(body.tool_call_id, body.chunk ?? {});
    else if (type === "connected" || type === "room_ready") this.#starting(type, body);
    else this.ears.message(type, body);
  }

  /** @param {string} type @param {Body} body */
  #starting(type, body) {
    this.start = { ...this.start, [type]: true, ...body };
    if (this.started || !this.start["connected"] || !this.start["room_ready"]) return;
    this.started = true;
    window.clearTimeout(this.timer);
    this.ears.ready(this.start);
  }

  /** @param {number} id @param {Body} content */
  #answered(id, content) {
    const waiting = this.pending.get(id);
    if (!waiting) return;
    this.pending.delete(id);
    window.clearTimeout(waiting.timer);
    if (content.type === "error")
      waiting.reject(new RoomError(content.text ?? "refused", content.code ?? null));
    else waiting.resolve(content);
  }

  /** @param {string} callId @param {Body} chunk */
  #streamed(callId, chunk) {
    const ears = this.streams.get(callId);
    if (!ears) return;
    if (chunk.type === "json") ears.chunk(chunk.json);
    else if (chunk.type === "binary") ears.chunk(chunk.headers ?? {});
    else if (chunk.type === "error") ears.closed(this.#forget(callId, chunk.text, chunk.code));
    else if (chunk.type === "control" && chunk.method === "close")
      ears.closed(this.#forget(callId, chunk.message));
  }

  /** @param {string} callId @param {string | undefined} reason @param {number | null} [code] */
  #forget(callId, reason, code = null) {
    this.streams.delete(callId);
    return reason ? new RoomError(reason, code) : null;
  }

  /** @param {number} code @param {string} reason */
  #ended(code, reason) {
    if (this.over) return;
    this.over = true;
    window.clearTimeout(this.timer);
    const lost = new ConnectionLost(reason || "the connection to the room was lost");
    for (const waiting of this.pending.values()) {
      window.clearTimeout(waiting.timer);
      waiting.reject(lost);
    }
    this.pending.clear();
    for (const ears of this.streams.values()) ears.closed(lost);
    this.streams.clear();
    this.ears.closed(code, reason, this.started);
  }
}
