import assert from "node:assert/strict";
import { test } from "node:test";

import { waitsFor } from "../../../process_agent/studio/static/model/approvers.js";

test("a request waits for those it names, and for nobody else where the user is one of them", () => {
  for (const approvers of [[], ["user"], ["role:user"], ["ben", "user"], ["ben", "ana"]])
    assert.equal(waitsFor(approvers, "ana"), null);
  assert.equal(waitsFor(["ben"], "ana"), "ben");
  assert.equal(waitsFor(["ben"], null), "ben");
  assert.equal(waitsFor(["role:admin", "ben", "eve"], "ana"), "ben, eve or somebody with the role admin");
});
