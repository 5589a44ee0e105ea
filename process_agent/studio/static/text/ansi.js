/** Terminal output: colours kept, every other control sequence dropped, carriage returns obeyed. Pure. */

/** @typedef {{text: string, style: string}} Run  `style` is a list of class names, or empty */

// eslint-disable-next-line no-control-regex
const ESCAPE =
  /\x1b(?:\[([0-9;:?<=>]*)[ -/]*([@-~])|\][^\x07\x1b]*(?:\x07|\x1b\\)|[PX^_][^\x1b]*\x1b\\|[ -/]*[0-~])/g;
const NAMES = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];

/** @param {string} text @returns {Run[]} */
export function parseAnsi(text) {
  /** @type {Run[]} */
  const runs = [];
  const pen = { bold: false, dim: false, italic: false, underline: false, color: "" };
  let from = 0;
  const plain = overwrite(text);
  for (const match of plain.matchAll(ESCAPE)) {
    add(runs, plain.slice(from, match.index), pen);
    from = match.index + match[0].length;
    if (match[2] === "m") paint(pen, match[1]);
  }
  add(runs, plain.slice(from), pen);
  return runs;
}

/** A carriage return inside a line begins it anew, as progress bars do. @param {string} text */
function overwrite(text) {
  const unix = text.replaceAll("\r\n", "\n");
  if (!unix.includes("\r")) return unix;
  return unix
    .split("\n")
    .map((line) => line.slice(line.replace(/\r+$/, "").lastIndexOf("\r") + 1).replace(/\r+$/, ""))
    .join("\n");
}

/** @param {Run[]} runs @param {string} text @param {Record<string, any>} pen */
function add(runs, text, pen) {
  // eslint-disable-next-line no-control-regex
  const clean = text.replace(/[\x00-\x08\x0b-\x1f\x7f]/g, "");
  if (!clean) return;
  const style = ["bold", "dim", "italic", "underline"]
    .filter((name) => pen[name])
    .map((name) => `ansi-${name}`);
  if (pen.color) style.push(`ansi-${pen.color}`);
  const last = runs.at(-1);
  const joined = style.join(" ");
  if (last && last.style === joined) last.text += clean;
  else runs.push({ text: clean, style: joined });
}

/** @param {Record<string, any>} pen @param {string} codes */
function paint(pen, codes) {
  const list = codes.split(/[;:]/).map(Number);
  for (let i = 0; i < list.length; i += 1) {
    const code = list[i];
    if (code === 0)
      Object.assign(pen, { bold: false, dim: false, italic: false, underline: false, color: "" });
    else if (code === 1) pen.bold = true;
    else if (code === 2) pen.dim = true;
    else if (code === 3) pen.italic = true;
    else if (code === 4) pen.underline = true;
    else if (code === 22) Object.assign(pen, { bold: false, dim: false });
    else if (code === 23) pen.italic = false;
    else if (code === 24) pen.underline = false;
    else if (code >= 30 && code <= 37) pen.color = NAMES[code - 30];
    else if (code >= 90 && code <= 97) pen.color = NAMES[code - 90];
    else if (code === 39) pen.color = "";
    else if (code === 38 || code === 48) i += list[i + 1] === 5 ? 2 : 4;
  }
}
