import assert from "node:assert/strict";
import { test } from "node:test";

import { delayBefore } from "../../../process_agent/studio/static/wire/backoff.js";
import {
  Assembler,
  encodeMessage,
  FrameError,
  PACKET_BYTES,
} from "../../../process_agent/studio/static/wire/frames.js";
import { newId } from "../../../process_agent/studio/static/wire/ids.js";

/** @param {Uint8Array} bytes */
const own = (bytes) => Uint8Array.from(bytes).buffer;
const hex = (bytes) => Buffer.from(bytes).toString("hex");

function roundTrip(id, type, body, tail) {
  const assembler = new Assembler();
  const messages = encodeMessage(id, type, body, tail).map((packet) => assembler.push(own(packet)));
  assert.ok(messages.slice(0, -1).every((message) => message === null));
  return messages.at(-1);
}

test("the example of the protocol page", () => {
  const [header, payload] = encodeMessage(2, "connected", { type: "init" });
  assert.equal(hex(header), "00000000000000020000000000000001636f6e6e6563746564");
  assert.equal(hex(payload.slice(0, 20)), "0000000000000002" + "00000001" + "000000000000000f");
});

test("messages of any size come back", () => {
  for (const length of [0, 1, 1000, 1016, 1017, 5000, 100_000]) {
    const body = { text: "ö".repeat(length), nested: { list: [1, null, true] } };
    const tail = new Uint8Array(length).fill(7);
    const got = roundTrip(2 ** 40 + 5, "room.invoke_tool", body, tail);
    assert.equal(got.id, 2 ** 40 + 5);
    assert.equal(got.type, "room.invoke_tool");
    assert.deepEqual(got.body, body);
    assert.deepEqual([...got.tail], [...tail]);
  }
});

test("packets carry at most 1024 bytes of payload", () => {
  const packets = encodeMessage(1, "t", { text: "x".repeat(10_000) });
  assert.ok(packets.slice(1).every((packet) => packet.length <= PACKET_BYTES + 12));
});

test("larger packets and empty payloads are taken; trace data is dropped", () => {
  const assembler = new Assembler();
  const json = Buffer.from(JSON.stringify({ a: "x".repeat(50_000), __meshagent__: { v: 1 } }));
  const header = Buffer.alloc(16);
  header.writeUInt32BE(3, 4);
  header.writeUInt32BE(1, 12);
  const packet = Buffer.alloc(20);
  packet.writeUInt32BE(3, 4);
  packet.writeUInt32BE(1, 8);
  packet.writeUInt32BE(json.length, 16);
  assert.equal(assembler.push(own(Buffer.concat([header, Buffer.from("t")]))), null);
  assert.deepEqual(assembler.push(own(Buffer.concat([packet, json]))).body, { a: "x".repeat(50_000) });

  const empty = Buffer.alloc(16);
  assert.deepEqual(assembler.push(own(Buffer.concat([empty, Buffer.from("ping")]))).body, {});
});

test("what does not follow the protocol is refused", () => {
  const [header, ...packets] = encodeMessage(1, "t", { text: "x".repeat(3000) });
  const refuse = (...bytes) => {
    const assembler = new Assembler(2500);
    assert.throws(() => bytes.forEach((packet) => assembler.push(own(packet))), FrameError);
  };
  refuse(new Uint8Array(5));
  refuse(packets[0]);
  refuse(header, packets[1]);
  refuse(header, header);
  refuse(header, ...packets);
  refuse(...encodeMessage(1, "t", {}).map((packet, at) => (at === 1 ? packet.slice(0, 15) : packet)));
  const [head, broken] = encodeMessage(1, "t", {});
  broken[20] = 0xff;
  refuse(head, broken);
});

test("waits double, have a limit and differ", () => {
  assert.equal(delayBefore(0, 0), 500);
  assert.equal(delayBefore(3, 0), 4000);
  assert.equal(delayBefore(50, 0), 15_000);
  assert.equal(delayBefore(1, 0.999) < delayBefore(1, 0), true);
});

test("ids are random UUIDs", () => {
  const ids = new Set(Array.from({ length: 200 }, newId));
  assert.equal(ids.size, 200);
  for (const id of ids)
    assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});
