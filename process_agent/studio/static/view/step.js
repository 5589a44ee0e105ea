/** One step of a turn as a line that unfolds: a tool call or a thought. */

import { duration, visible } from "../text/format.js";
import { diffFiles, diffText, output, summarise, writtenText } from "../text/tool_summary.js";
import { approvalCard, approvalOutcome } from "./approval.js";
import { countsView, diffView } from "./diff_view.js";
import { h, setAttribute } from "./dom.js";
import { icon } from "./icons.js";
import { RichText } from "./rich_text.js";
import { shellView, toolView } from "./terminal.js";

/**
 * @typedef {import("../model/types.js").ToolItem} ToolItem
 * @typedef {import("../model/types.js").ReasoningItem} ReasoningItem
 * @typedef {import("./turn.js").TurnContext} TurnContext
 */

const ICONS = {
  shell: "terminal",
  edit: "edit",
  diff: "diff",
  plan: "plan",
  search: "search",
  notice: "info",
  tool: "tool",
};
const TAIL_LINES = 3;
let counter = 0;

/** A line with a button, and a body that is built when it is first unfolded. */
class Step {
  constructor() {
    counter += 1;
    const bodyId = `step-${counter}`;
    this.open = false;
    this.icon = h("span", { class: "step-icon" });
    this.title = h("span", { class: "step-title" });
    this.meta = h("span", { class: "step-meta" });
    this.head = h(
      "button",
      { type: "button", class: "step-head", "aria-expanded": "false", "aria-controls": bodyId },
      this.icon,
      this.title,
      this.meta,
      icon("chevron"),
    );
    this.body = h("div", { class: "step-body", id: bodyId, hidden: true });
    this.extra = h("div", { class: "step-extra" });
    this.el = h("div", { class: "step" }, this.head, this.extra, this.body);
    this.head.addEventListener("click", () => this.toggle());
  }

  toggle() {
    this.open = !this.open;
    setAttribute(this.head, "aria-expanded", String(this.open));
    setAttribute(this.body, "hidden", !this.open);
    this.drawBody();
  }

  /** Fills the body of the unfolded step. */
  drawBody() {}
}

export class ToolStep extends Step {
  /** @param {TurnContext} context */
  constructor(context) {
    super();
    this.context = context;
    /** @type {ToolItem | null} */
    this.item = null;
    /** @type {{el: HTMLElement, approval: ToolItem["approval"], args: ToolItem["args"]} | null} */
    this.card = null;
  }

  /** @param {ToolItem} item */
  update(item) {
    this.item = item;
    const summary = summarise(item);
    setAttribute(this.el, "data-state", item.state);
    this.icon.replaceChildren(icon(ICONS[summary.kind]));
    this.title.className = summary.code ? "step-title mono" : "step-title";
    this.title.textContent = summary.title;
    this.meta.replaceChildren(...this.#meta(item, summary));
    const extra = this.#extra(item, summary.kind);
    if (extra.length !== 1 || extra[0] !== this.extra.firstChild) this.extra.replaceChildren(...extra);
    if (this.open) this.drawBody();
  }

  drawBody() {
    const item = this.item;
    if (!this.open || !item) return;
    const kind = summarise(item).kind;
    const scroll = keepScroll(this.body, item.state === "running");
    if (kind === "shell") this.body.replaceChildren(shellView(item));
    else if (diffText(item)) this.body.replaceChildren(diffView(diffFiles(item)), ...problem(item));
    else this.body.replaceChildren(toolView(item));
    scroll();
  }

  /** @param {ToolItem} item @param {ReturnType<typeof summarise>} summary */
  #meta(item, summary) {
    const parts = [];
    const outcome = approvalOutcome(item);
    if (outcome) parts.push(h("span", { class: `decided ${item.approval?.state}` }, outcome));
    if (summary.counts) parts.push(countsView(summary.counts));
    if (item.state === "stopped") parts.push(h("span", { class: "tag" }, "stopped"));
    if (item.state === "failed") parts.push(h("span", { class: "tag bad" }, failure(item, summary.exitCode)));
    else if (summary.exitCode !== null) parts.push(h("span", { class: "exit" }, `exit ${summary.exitCode}`));
    if (item.state === "running")
      parts.push(h("span", { class: "spinner", role: "img", "aria-label": "running" }));
    else if (item.endedAt && item.endedAt - item.startedAt >= 50)
      parts.push(duration(item.endedAt - item.startedAt));
    return parts;
  }

  /** The end of the arguments that the model still writes. @param {ToolItem} item */
  #writing(item) {
    const tail = writtenText(item).slice(-600).split("\n").slice(-TAIL_LINES).join("\n");
    return h("pre", { class: "step-tail writing", "aria-hidden": "true" }, visible(tail));
  }

  /** Drawn anew only when what is asked changes: somebody may be typing an answer. @param {ToolItem} item */
  #card(item) {
    if (this.card?.approval !== item.approval || this.card?.args !== item.args) {
      /** @type {(decided: import("../model/types.js").Decided) => void} */
      const decide = (decided) => this.context.decide(item.id, decided);
      const el = approvalCard(item, this.context.agent, this.context.self, decide);
      this.card = { el, approval: item.approval, args: item.args };
    }
    return this.card.el;
  }

  /**
   * What shows although the step is folded: a question, or the last lines of a running command.
   * @param {ToolItem} item
   * @param {string} kind
   */
  #extra(item, kind) {
    const asked = item.approval?.state === "asked" || item.approval?.state === "answering";
    if (asked) return [this.#card(item)];
    if (item.state === "running" && item.argsText) return [this.#writing(item)];
    if (item.state !== "running" || this.open || kind !== "shell") return [];
    const tail = output(item)
      .map((piece) => piece.text)
      .join("")
      .slice(-2000)
      .trimEnd()
      .split("\n")
      .slice(-TAIL_LINES);
    return tail.join("") ? [h("pre", { class: "step-tail", "aria-hidden": "true" }, tail.join("\n"))] : [];
  }
}

export class ReasoningStep extends Step {
  constructor() {
    super();
    this.text = new RichText();
    this.text.el.classList.add("thought");
    this.body.append(this.text.el);
    this.icon.append(icon("thought"));
    /** @type {ReasoningItem | null} */
    this.item = null;
  }

  /** @param {ReasoningItem} item */
  update(item) {
    this.item = item;
    setAttribute(this.el, "data-state", item.done ? "done" : "running");
    this.el.hidden = item.done && !item.text.trim();
    const took = item.endedAt ? item.endedAt - item.startedAt : 0;
    this.title.textContent = item.done
      ? `Thought${took >= 1000 ? ` for ${duration(took)}` : ""}`
      : "Thinking";
    const said = headline(item.text);
    this.meta.replaceChildren(...(said ? [h("span", { class: "gist" }, said)] : []));
    if (!item.done) this.meta.append(h("span", { class: "spinner", role: "img", "aria-label": "thinking" }));
    this.drawBody();
  }

  drawBody() {
    if (this.open && this.item) this.text.update(this.item.text, this.item.done);
  }
}

/**
 * Output is drawn anew as it grows: it stays where the reader was, or at its end when the reader was there.
 * @param {HTMLElement} body
 * @param {boolean} follow
 */
function keepScroll(body, follow) {
  const before = body.querySelector(".terminal-output");
  const top = before?.scrollTop ?? 0;
  const atEnd = follow && (!before || before.scrollTop + before.clientHeight >= before.scrollHeight - 8);
  return () => {
    const after = body.querySelector(".terminal-output");
    if (after) after.scrollTop = atEnd ? after.scrollHeight : top;
  };
}

/** The last bold line of a reasoning summary names what it is about. @param {string} text */
function headline(text) {
  const bold = [...text.matchAll(/^\*\*(.+?)\*\*/gm)].at(-1)?.[1];
  return bold ?? text.trim().split("\n")[0].slice(0, 120);
}

/** @param {ToolItem} item @param {number | null} exitCode */
function failure(item, exitCode) {
  if (exitCode !== null) return `exit ${exitCode}`;
  return item.approval?.state === "declined" ? "not run" : "failed";
}

/** @param {ToolItem} item */
function problem(item) {
  return item.error ? [h("p", { class: "problem" }, item.error.message)] : [];
}
