/** Says to screen readers what others see: the answer is there, a question waits, the connection broke. */

import { runningTurn } from "../model/thread.js";
import { h } from "./dom.js";

/** @typedef {import("../model/types.js").State} State */

export class Announcer {
  constructor() {
    this.el = h("div", { class: "visually-hidden", role: "status", "aria-live": "polite" });
  }

  /** @param {State} state @param {State} before */
  update(state, before) {
    const said = news(state, before);
    if (said) this.el.textContent = said;
  }
}

/** @param {State} state @param {State} before @returns {string | null} */
function news(state, before) {
  const now = state.thread;
  const then = before.thread;
  if (!now || !then || now === then || now.path !== then.path || now.loading || then.loading) return null;
  const agent = state.agent ?? "The agent";
  if (waiting(now, false) > waiting(then, false)) return `${agent} asks for your approval.`;
  if (waiting(now, true) > waiting(then, true)) return `${agent} asks you a question.`;
  if (now.secrets.length > then.secrets.length) return `${agent} asks you for a secret.`;
  const ran = runningTurn(then);
  if (!ran) return runningTurn(now) ? `${agent} is working.` : null;
  const ended = now.turns.findLast((turn) => turn.id === ran.id);
  if (ended?.state !== "ended") return null;
  const answer = ended.items.findLast((item) => item.kind === "text");
  const words = { completed: "answered", interrupted: "was stopped", failed: "failed", lost: "was cut off" };
  return `${agent} ${words[ended.outcome ?? "completed"]}. ${answer?.kind === "text" ? answer.text.slice(0, 500) : ""}`;
}

/** What waits in the turns of a thread. @param {import("../model/types.js").Thread} thread @param {boolean} questions */
function waiting(thread, questions) {
  const approvals = (thread.turns.at(-1)?.items ?? []).map((item) => (item.kind === "tool" ? item.approval : null));
  return approvals.filter((a) => a?.state === "asked" && a.questions.length > 0 === questions).length;
}
