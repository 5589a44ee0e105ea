/** One turn: what was asked, the steps, the answer, and how it ended. */

import { duration, money, plural, tokens } from "../text/format.js";
import { isForModel, toolKind } from "../text/tool_summary.js";
import { copyButton } from "./code.js";
import { h, Keyed, setAttribute } from "./dom.js";
import { icon } from "./icons.js";
import { changesView, imageView, mediaView, noticeView, planView, textView, userView } from "./items.js";
import { ReasoningStep, ToolStep } from "./step.js";

/**
 * @typedef {import("../model/types.js").Turn} Turn
 * @typedef {import("../model/types.js").Item} Item
 * @typedef {{self: string | null, agent: string, decide: (itemId: string, decided: import("../model/types.js").Decided) => void, find: import("./picture.js").FindFile}} TurnContext
 * @typedef {{key: string, steps: boolean, items: Item[], fold: boolean}} Segment
 */

/** A finished turn with more steps in a row than this folds them. */
const FOLD_STEPS = 4;

/** @param {TurnContext} context */
export function turnView(context) {
  const body = h("div", { class: "turn-body" });
  const foot = h("footer", { class: "turn-foot" });
  const el = h("article", { class: "turn" }, body, foot);
  /** @type {Keyed<Segment>} */
  const segments = new Keyed(
    body,
    (segment) => segment.key,
    (segment) => segmentView(segment, context),
  );
  return {
    el,
    /** @param {Turn} turn */
    update(turn) {
      setAttribute(el, "data-state", turn.state);
      setAttribute(el, "aria-busy", turn.state === "running" ? "true" : null);
      segments.update(cut(turn));
      foot.replaceChildren(...footer(turn));
    },
  };
}

/** Neighbouring steps become one segment; the turn's diff goes to the end. @param {Turn} turn @returns {Segment[]} */
function cut(turn) {
  /** @type {Segment[]} */
  const segments = [];
  /** @type {Segment[]} */
  const changes = [];
  for (const [index, item] of turn.items.entries()) {
    if (isSaidAgain(item, turn.items[index + 1]) || isForModel(item, turn.id)) continue;
    const kind = item.kind === "tool" ? toolKind(item) : item.kind;
    if (kind === "diff") changes.push({ key: item.key, steps: false, items: [item], fold: false });
    else if (item.kind === "reasoning" || (item.kind === "tool" && kind !== "plan")) {
      const last = segments.at(-1);
      if (last?.steps) last.items.push(item);
      else
        segments.push({ key: `steps:${item.key}`, steps: true, items: [item], fold: turn.state === "ended" });
    } else segments.push({ key: item.key, steps: false, items: [item], fold: false });
  }
  return [...segments, ...changes];
}

/**
 * A compaction that the agent tells in words too, for clients that know no other way.
 * @param {Item} item
 * @param {Item | undefined} next
 */
function isSaidAgain(item, next) {
  if (item.kind !== "notice" || !item.compaction || item.detail) return false;
  return next?.kind === "text" && next.id.startsWith("notice:");
}

/** @param {Segment} segment @param {TurnContext} context */
function segmentView(segment, context) {
  if (segment.steps) return stepsView(context);
  const view = itemView(segment.items[0], context);
  /** @type {Item | null} */
  let shown = null;
  return {
    el: view.el,
    /** @param {Segment} next */
    update(next) {
      if (next.items[0] === shown) return;
      shown = next.items[0];
      view.update(/** @type {any} */ (shown));
    },
  };
}

/** @param {Item} item @param {TurnContext} context */
function itemView(item, context) {
  switch (item.kind) {
    case "user":
      return userView(context.self, context.find);
    case "text":
      return textView();
    case "media":
      return mediaView(context.find);
    case "image":
      return imageView(context.find);
    case "notice":
      return noticeView();
    default:
      return item.kind === "tool" && toolKind(item) === "diff" ? changesView() : planView();
  }
}

/** @param {TurnContext} context */
function stepsView(context) {
  const list = h("div", { class: "steps-list" });
  const label = h("span", {});
  const fold = h(
    "button",
    { type: "button", class: "steps-fold", "aria-expanded": "true" },
    icon("chevron"),
    label,
  );
  const el = h("div", { class: "steps" }, fold, list);
  /** @type {boolean | null} */
  let chosen = null;
  let folded = false;
  fold.addEventListener("click", () => {
    chosen = !folded;
    show(chosen);
  });
  /** @param {boolean} value */
  const show = (value) => {
    folded = value;
    setAttribute(list, "hidden", folded);
    setAttribute(fold, "aria-expanded", String(!folded));
  };
  /** @type {Keyed<Item>} */
  const steps = new Keyed(
    list,
    (item) => item.key,
    (item) => /** @type {any} */ (item.kind === "tool" ? new ToolStep(context) : new ReasoningStep()),
  );
  return {
    el,
    /** @param {Segment} segment */
    update(segment) {
      steps.update(segment.items);
      const count = segment.items.filter((item) => item.kind === "tool" || item.kind === "reasoning").length;
      const many = count > FOLD_STEPS;
      setAttribute(fold, "hidden", !many);
      label.textContent = plural(count, "step");
      show(chosen ?? (many && segment.fold));
    },
  };
}

/** @param {Turn} turn */
function footer(turn) {
  if (turn.state !== "ended") return [];
  const parts = [];
  if (turn.outcome === "failed" || turn.outcome === "lost") parts.push(failure(turn));
  const facts = [];
  if (turn.outcome === "interrupted") facts.push("Stopped");
  if (turn.endedAt) facts.push(duration(turn.endedAt - turn.startedAt));
  if (turn.usage) facts.push(`${tokens(turn.usage.input)} in, ${tokens(turn.usage.output)} out`);
  if (turn.cost !== null) facts.push(money(turn.cost));
  const answer = turn.items.findLast((item) => item.kind === "text");
  parts.push(
    h(
      "div",
      { class: "turn-facts" },
      answer?.kind === "text" && copyButton("Copy answer", () => answer.text),
      h("span", {}, facts.join(" · ")),
    ),
  );
  return parts;
}

/** @param {Turn} turn */
function failure(turn) {
  const title = turn.outcome === "lost" ? "This turn was cut off." : "This turn failed.";
  return h(
    "div",
    { class: "notice", "data-level": "error", role: "alert" },
    icon("alert"),
    h("div", {}, h("p", {}, title), turn.error?.message && h("p", { class: "detail" }, turn.error.message)),
  );
}
