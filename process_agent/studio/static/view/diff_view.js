/** Changed files with their lines in colour. */

import { plural } from "../text/format.js";
import { h } from "./dom.js";
import { icon } from "./icons.js";

/** @typedef {import("../text/diff.js").DiffFile} DiffFile */
/** @typedef {import("../text/diff.js").DiffLine} DiffLine */

/** Files with more changed lines than this start folded. */
const OPEN_LINES = 120;

const SIGNS = { add: "+", del: "−", same: " ", gap: "" };
const WORDS = { added: "new", deleted: "deleted", renamed: "moved", modified: "" };

/**
 * @param {DiffFile[]} files
 * @param {(path: string) => boolean | undefined} [wasOpen] what the user chose for a file before
 * @returns {HTMLElement}
 */
export function diffView(files, wasOpen = () => undefined) {
  return h("div", { class: "diff" }, ...files.map((file) => fileView(file, wasOpen(file.path))));
}

/** @param {{added: number, removed: number}} counts @returns {HTMLElement} */
export function countsView(counts) {
  return h(
    "span",
    { class: "counts", "aria-label": `${plural(counts.added, "line")} added, ${counts.removed} removed` },
    h("span", { class: "added" }, `+${counts.added}`),
    h("span", { class: "removed" }, `−${counts.removed}`),
  );
}

/** @param {DiffFile} file @param {boolean | undefined} chosen */
function fileView(file, chosen) {
  const open = chosen ?? file.added + file.removed <= OPEN_LINES;
  const details = h(
    "details",
    { class: "diff-file", "data-path": file.path, "data-change": file.change, open },
    h(
      "summary",
      {},
      icon("chevron"),
      h("span", { class: "diff-path" }, file.from ? `${file.from} → ${file.path}` : file.path || "file"),
      WORDS[file.change] && h("span", { class: "tag" }, WORDS[file.change]),
      countsView(file),
    ),
  );
  const fill = () => details.childElementCount < 2 && details.append(linesView(file));
  if (open) fill();
  else details.addEventListener("toggle", fill, { once: true });
  return details;
}

/** @param {DiffFile} file */
function linesView(file) {
  const numbered = file.lines.some((line) => line.before !== null || line.after !== null);
  return h(
    "div",
    { class: "diff-lines", tabindex: "0", role: "region", "aria-label": `Changes of ${file.path}` },
    h(
      "table",
      { "data-numbered": numbered },
      h(
        "tbody",
        {},
        ...file.lines.map((line) => lineView(line, numbered)),
        file.cut > 0 && cutView(file.cut, numbered),
      ),
    ),
  );
}

/** @param {DiffLine} line @param {boolean} numbered */
function lineView(line, numbered) {
  if (line.kind === "gap") {
    return h("tr", { class: "gap" }, h("td", { colspan: numbered ? 4 : 2 }, line.text || "⋯"));
  }
  return h(
    "tr",
    { class: line.kind },
    numbered && h("td", { class: "number" }, String(line.before ?? "")),
    numbered && h("td", { class: "number" }, String(line.after ?? "")),
    h("td", { class: "sign" }, SIGNS[line.kind]),
    h("td", { class: "text" }, line.text || " "),
  );
}

/** @param {number} cut @param {boolean} numbered */
function cutView(cut, numbered) {
  return h(
    "tr",
    { class: "gap" },
    h("td", { colspan: numbered ? 4 : 2 }, `${plural(cut, "more line")} not shown`),
  );
}
