/**
 * Frames of the room protocol (room protocol, section 4): a message is a header packet and payload packets,
 * one WebSocket message each; the payload is a JSON object with an optional binary tail.
 */

/** Payload bytes in one packet, as the published clients send them. */
export const PACKET_BYTES = 1024;

/** Largest message we take, in bytes of payload. */
export const MESSAGE_LIMIT = 32 * 1024 * 1024;

const HEAD = 12;
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/**
 * @typedef {{[key: string]: any}} Body
 * @typedef {{id: number, type: string, body: Body, tail: Uint8Array}} Message
 */

/** Bytes that do not follow the protocol: the connection cannot be trusted after them. */
export class FrameError extends Error {}

/**
 * The packets of one message, in the order they are sent.
 * @param {number} id
 * @param {string} type
 * @param {Body} body
 * @param {Uint8Array} [tail]
 * @returns {Uint8Array[]}
 */
export function encodeMessage(id, type, body, tail = new Uint8Array(0)) {
  const payload = encodePayload(body, tail);
  const count = Math.ceil(payload.length / PACKET_BYTES);
  const name = encoder.encode(type);
  const header = packet(id, 0, 4 + name.length);
  new DataView(header.buffer).setUint32(HEAD, count);
  header.set(name, HEAD + 4);
  const packets = [header];
  for (let k = 1; k <= count; k += 1) {
    const piece = payload.subarray((k - 1) * PACKET_BYTES, k * PACKET_BYTES);
    const next = packet(id, k, piece.length);
    next.set(piece, HEAD);
    packets.push(next);
  }
  return packets;
}

/** Puts packets together to messages. One per connection: messages never interleave. */
export class Assembler {
  /** @param {number} [limit] */
  constructor(limit = MESSAGE_LIMIT) {
    this.limit = limit;
    /** @type {{id: number, type: string, count: number, pieces: Uint8Array[], size: number} | null} */
    this.open = null;
  }

  /**
   * Takes one packet; returns the message it completes, or null. Throws `FrameError`.
   * @param {ArrayBuffer} buffer
   * @returns {Message | null}
   */
  push(buffer) {
    if (buffer.byteLength < HEAD) throw new FrameError("packet shorter than its head");
    const view = new DataView(buffer);
    const id = readId(view);
    const index = view.getUint32(8);
    if (index === 0) this.#start(id, view);
    else this.#add(id, index, new Uint8Array(buffer, HEAD));
    return this.#finish();
  }

  /**
   * @param {number} id
   * @param {DataView} view
   */
  #start(id, view) {
    if (this.open) throw new FrameError(`message ${id} began inside message ${this.open.id}`);
    if (view.byteLength < HEAD + 4) throw new FrameError("header packet without a count");
    const count = view.getUint32(HEAD);
    const type = decodeText(new Uint8Array(view.buffer, HEAD + 4));
    this.open = { id, type, count, pieces: [], size: 0 };
  }

  /**
   * @param {number} id
   * @param {number} index
   * @param {Uint8Array} piece
   */
  #add(id, index, piece) {
    const open = this.open;
    if (!open || open.id !== id || index !== open.pieces.length + 1 || index > open.count) {
      throw new FrameError(`packet ${index} of message ${id} is out of order`);
    }
    open.size += piece.length;
    if (open.size > this.limit) throw new FrameError(`message ${id} is above ${this.limit} bytes`);
    open.pieces.push(piece);
  }

  /** @returns {Message | null} */
  #finish() {
    const open = this.open;
    if (!open || open.pieces.length < open.count) return null;
    this.open = null;
    return { id: open.id, type: open.type, ...decodePayload(join(open.pieces, open.size)) };
  }
}

/**
 * @param {Body} body
 * @param {Uint8Array} tail
 */
function encodePayload(body, tail) {
  const json = encoder.encode(JSON.stringify(body));
  const payload = new Uint8Array(8 + json.length + tail.length);
  writeId(new DataView(payload.buffer), json.length);
  payload.set(json, 8);
  payload.set(tail, 8 + json.length);
  return payload;
}

/**
 * @param {Uint8Array} payload
 * @returns {{body: Body, tail: Uint8Array}}
 */
function decodePayload(payload) {
  if (payload.length === 0) return { body: {}, tail: payload };
  if (payload.length < 8) throw new FrameError("payload shorter than its length field");
  const length = readId(new DataView(payload.buffer, payload.byteOffset, payload.byteLength));
  if (length > payload.length - 8) throw new FrameError("JSON is longer than the payload");
  const body = parseObject(decodeText(payload.subarray(8, 8 + length)));
  delete body["__meshagent__"];
  return { body, tail: payload.subarray(8 + length) };
}

/** @param {string} text @returns {Body} */
function parseObject(text) {
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    throw new FrameError("payload is not JSON");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new FrameError("payload is not a JSON object");
  }
  return value;
}

/** @param {Uint8Array} bytes */
function decodeText(bytes) {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new FrameError("text is not UTF-8");
  }
}

/**
 * @param {number} id
 * @param {number} index
 * @param {number} room
 */
function packet(id, index, room) {
  const bytes = new Uint8Array(HEAD + room);
  const view = new DataView(bytes.buffer);
  writeId(view, id);
  view.setUint32(8, index);
  return bytes;
}

/** @param {DataView} view @param {number} value */
function writeId(view, value) {
  view.setUint32(0, Math.floor(value / 0x1_0000_0000));
  view.setUint32(4, value >>> 0);
}

/** @param {DataView} view */
function readId(view) {
  const value = view.getUint32(0) * 0x1_0000_0000 + view.getUint32(4);
  if (!Number.isSafeInteger(value)) throw new FrameError("number above 2^53");
  return value;
}

/** @param {Uint8Array[]} pieces @param {number} size */
function join(pieces, size) {
  if (pieces.length === 1) return pieces[0];
  const whole = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
