/** What models used and cost: of this thread, by model and by day. */

import { money, plural, tokens } from "../text/format.js";
import { h } from "./dom.js";

/**
 * @typedef {object} Line what `process usage --json` prints for one line
 * @property {string} key
 * @property {number} calls
 * @property {number} input_tokens
 * @property {number} cached_tokens
 * @property {number} output_tokens
 * @property {number} reasoning_tokens
 * @property {number} web_searches
 * @property {number} images
 * @property {number} unpriced_pieces
 * @property {number | null} cost
 * @property {number} unpriced_calls
 * @property {string[]} unpriced_models
 * @property {number} unreported_calls
 *
 * @typedef {{days: Line[], models: Line[], thread: Line | null, total: Line | null}} Usage
 */

const HEADS = ["calls", "input", "cached", "output", "reasoning", "cost"];
const DAYS = 31;

/** @param {Promise<Usage>} looking */
export function showUsage(looking) {
  const body = h("div", { class: "usage", role: "status" }, "Adding up…");
  const dialog = h(
    "dialog",
    { class: "usage-dialog", "aria-labelledby": "usage-title" },
    h(
      "form",
      { method: "dialog" },
      h("h2", { id: "usage-title" }, "Usage and cost"),
      body,
      h("div", { class: "dialog-buttons" }, h("button", { class: "button primary" }, "Close")),
    ),
  );
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  looking.then(
    (usage) => body.replaceChildren(...report(usage)),
    () => body.replaceChildren("What was used could not be read. Try again when the room is connected."),
  );
}

/** @param {Usage} usage @returns {HTMLElement[]} */
function report(usage) {
  if (!usage.total) return [h("p", {}, "Nothing was used yet. What an agent uses is here a few seconds later.")];
  const thread = usage.thread ? [{ ...usage.thread, key: "This thread" }] : [];
  return [
    table("", [...thread, { ...usage.total, key: "All threads" }]),
    table("By model", usage.models),
    table("By day", usage.days.slice(-DAYS).reverse()),
    ...missing(usage.total).map((text) => h("p", {}, text)),
  ];
}

/** @param {string} title @param {Line[]} lines */
function table(title, lines) {
  return h(
    "table",
    {},
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, title), ...HEADS.map((head) => h("th", { scope: "col" }, head)))),
    h("tbody", {}, ...lines.map(row)),
  );
}

/** @param {Line} line */
function row(line) {
  const counts = [line.input_tokens, line.cached_tokens, line.output_tokens, line.reasoning_tokens];
  const cells = [String(line.calls), ...counts.map(tokens), costWords(line)];
  return h("tr", {}, h("th", { scope: "row" }, line.key), ...cells.map((cell) => h("td", {}, cell)));
}

/** @param {Line} line */
export function costWords(line) {
  if (line.cost === null) return "unknown";
  return money(line.cost) + (line.unpriced_calls || line.unreported_calls || line.unpriced_pieces ? "+" : "");
}

/** What the total lacks. @param {Line} total @returns {string[]} */
export function missing(total) {
  const found = [];
  if (total.unpriced_calls)
    found.push(`No price is known for ${total.unpriced_models.join(", ")} (${plural(total.unpriced_calls, "call")}).`);
  if (total.unreported_calls)
    found.push(`${plural(total.unreported_calls, "call")} broke off before the provider said what was used.`);
  const pieces = [
    total.web_searches && plural(total.web_searches, "web search", "web searches"),
    total.images && plural(total.images, "image"),
  ].filter(Boolean);
  const where = total.unpriced_pieces ? "not all in the cost, for want of a price" : "in the cost";
  if (pieces.length) found.push(`${pieces.join(" and ")} charged by the piece: ${where}.`);
  return found;
}
