/**
 * Markdown as a list of blocks with their HTML. Raw HTML in the text is shown, not used. The HTML still has to
 * be sanitised (`view/rich_text.js` does) before it becomes part of the page.
 */

import { Marked } from "../vendor/marked.js";

/** @typedef {{raw: string, html: () => string}} Block  equal `raw` means equal HTML */

const marked = new Marked({
  gfm: true,
  async: false,
  renderer: {
    html: (/** @type {{text: string}} */ { text }) => escapeHtml(text),
    code: (/** @type {{text: string, lang?: string}} */ { text, lang }) => {
      const language = (lang ?? "").trim().split(/\s+/)[0];
      return `<pre data-language="${escapeHtml(language)}"><code>${escapeHtml(text)}</code></pre>`;
    },
  },
});

/** @param {string} text @returns {Block[]} */
export function markdownBlocks(text) {
  const tokens = marked.lexer(text);
  return tokens
    .filter((token) => token.type !== "space" && token.type !== "def")
    .map((token) => ({ raw: token.raw, html: () => /** @type {string} */ (marked.parser([token])) }));
}

/** @param {string} text */
export function escapeHtml(text) {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}
