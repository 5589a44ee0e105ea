import assert from "node:assert/strict";
import { test } from "node:test";

import {
  MAX_BYTES,
  MAX_FILES,
  MAX_SEEN,
  admit,
  cautionAbout,
  filePart,
  pathFor,
  size,
} from "../../../process_agent/studio/static/model/attaching.js";

const file = (name, bytes = 1) => ({ name, size: bytes });

test("files up to the limits are taken, and what is refused is said with its reason", () => {
  const fits = file("a.bin", MAX_BYTES);
  const large = file("film.mov", MAX_BYTES + 1024 * 1024);
  assert.deepEqual(admit([fits, large], 0), {
    taken: [fits],
    refused: ["film.mov has 65 MB; a file can have at most 64 MB."],
  });
  const many = Array.from({ length: 5 }, (_, index) => file(`${index}.txt`));
  const { taken, refused } = admit(many, MAX_FILES - 2);
  assert.deepEqual(taken, many.slice(0, 2));
  assert.deepEqual(refused, ["A message can have at most 20 files; the others were left out."]);
});

test("the room keeps a file under a name that can be attached and stored", () => {
  for (const [name, kept] of [
    ["plan.pdf", "plan.pdf"],
    ["Größe 3.png", "Größe 3.png"],
    [".env", "env"],
    ["../../etc/passwd", "_.._etc_passwd"],
    ["a\\b:c\u0007.txt", "a_b_c_.txt"],
    ["...", "file"],
    ["", "file"],
  ])
    assert.equal(pathFor(name, "1234"), `uploads/1234/${kept}`);
  const long = pathFor(`${"🙂".repeat(300)}.tar.gz`, "1234").split("/").at(-1);
  assert.ok(long.endsWith("🙂.gz"));
  assert.ok(new TextEncoder().encode(long).length <= 255);
});

test("a file of the room is named by an address that can be read back", () => {
  const part = filePart("uploads/1234/a b#1?.txt", "a b#1?.txt");
  assert.deepEqual(part, { type: "file", url: "room:///uploads/1234/a%20b%231%3F.txt", name: "a b#1?.txt" });
  assert.equal(decodeURIComponent(new URL(part.url).pathname), "/uploads/1234/a b#1?.txt");
});

test("sizes read well, and an image that no model looks at says so", () => {
  assert.deepEqual([0, 1, 1023, 1536, 10 * 1024, 3.4 * 1024 * 1024].map(size), [
    "0 bytes",
    "1 byte",
    "1023 bytes",
    "1.5 KB",
    "10 KB",
    "3.4 MB",
  ]);
  assert.equal(cautionAbout({ type: "image/png", size: MAX_SEEN }), "");
  assert.match(cautionAbout({ type: "image/png", size: MAX_SEEN + 1 }), /up to 6 MB/);
  assert.equal(cautionAbout({ type: "text/plain", size: MAX_SEEN + 1 }), "");
});
