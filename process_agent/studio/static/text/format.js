/** Numbers and times as people read them. Pure. */

/** @param {number} ms @returns {string} like `0.4 s`, `12 s`, `3 m 05 s`, `1 h 02 m` */
export function duration(ms) {
  const value = Math.max(0, ms);
  if (value < 950) return `${Math.max(value / 1000, 0.1).toFixed(1)} s`;
  const seconds = Math.round(value / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} m ${two(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} m`;
}

/** @param {number} count @returns {string} like `980`, `12.4k`, `1.2M` */
export function tokens(count) {
  if (count < 1000) return String(Math.round(count));
  if (count < 1_000_000) return `${trim(count / 1000)}k`;
  return `${trim(count / 1_000_000)}M`;
}

/** @param {number} dollars @returns {string} like `$0.0042`, `$0.42`, `$12.30` */
export function money(dollars) {
  if (dollars < 0.00005) return "$0";
  return `$${dollars.toFixed(dollars >= 0.1 ? 2 : 4)}`;
}

/** @param {number} count @param {string} one @param {string} [many] */
export function plural(count, one, many = `${one}s`) {
  return `${count} ${count === 1 ? one : many}`;
}

/** @param {string} text @param {number} limit */
export function shorten(text, limit) {
  return text.length <= limit ? text : `${text.slice(0, limit - 1).trimEnd()}…`;
}

const UNSEEN = /[^\P{C}\n\t]|[\u2028\u2029\u115f\u1160\u3164\uffa0]|(?! )\p{Zs}/gu;

/** With everything invisible, or that turns text around, written out: for what somebody has to approve. @param {string} text */
export function visible(text) {
  return text.replace(UNSEEN, (c) => `\\u{${(c.codePointAt(0) ?? 0).toString(16)}}`);
}

/** @param {number} value */
function two(value) {
  return String(value).padStart(2, "0");
}

/** @param {number} value */
function trim(value) {
  return value >= 100 ? String(Math.round(value)) : value.toFixed(1).replace(/\.0$/, "");
}
