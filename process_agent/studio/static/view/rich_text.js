/** Markdown as elements: sanitised, links open elsewhere, images only when they carry their own data. */

import DOMPurify from "../vendor/dompurify.js";
import { markdownBlocks } from "../text/markdown.js";
import { codeBlock } from "./code.js";
import { h } from "./dom.js";

const SAFE_IMAGE = /^data:image\/(png|jpe?g|gif|webp|avif);base64,/i;
const SAFE_LINK = /^(https?|mailto):/i;

const RULES = {
  RETURN_DOM_FRAGMENT: true,
  ALLOWED_TAGS: [
    ...[
      "p",
      "br",
      "hr",
      "h1",
      "h2",
      "h3",
      "h4",
      "h5",
      "h6",
      "strong",
      "em",
      "del",
      "code",
      "pre",
      "blockquote",
    ],
    ...["ul", "ol", "li", "a", "img", "table", "thead", "tbody", "tr", "th", "td", "input"],
  ],
  ALLOWED_ATTR: [
    "href",
    "src",
    "alt",
    "title",
    "align",
    "start",
    "type",
    "checked",
    "disabled",
    "data-language",
  ],
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
};

/** Above this length a growing text is drawn less often than every frame. */
const LONG_TEXT = 20_000;
const LONG_TEXT_MS = 120;

/** A text that may grow: only blocks that changed are drawn again. */
export class RichText {
  constructor() {
    /** @type {HTMLElement} */
    this.el = h("div", { class: "prose" });
    /** @type {{raw: string, nodes: Element[]}[]} */
    this.blocks = [];
    this.text = "";
    this.timer = 0;
    this.drawnAt = 0;
  }

  /** @param {string} text @param {boolean} done */
  update(text, done) {
    this.text = text;
    const wait = done || text.length < LONG_TEXT ? 0 : this.drawnAt + LONG_TEXT_MS - performance.now();
    if (wait > 0 && !this.timer) this.timer = window.setTimeout(() => this.#draw(), wait);
    else if (wait <= 0) this.#draw();
  }

  #draw() {
    window.clearTimeout(this.timer);
    this.timer = 0;
    this.drawnAt = performance.now();
    const next = markdownBlocks(this.text);
    let same = 0;
    while (same < next.length && this.blocks[same]?.raw === next[same].raw) same += 1;
    for (const old of this.blocks.splice(same)) for (const node of old.nodes) node.remove();
    for (const block of next.slice(same)) {
      const nodes = [...safeFragment(block.html()).children];
      this.el.append(...nodes);
      this.blocks.push({ raw: block.raw, nodes });
    }
  }
}

/** @param {string} html @returns {DocumentFragment} */
function safeFragment(html) {
  const fragment = /** @type {DocumentFragment} */ (/** @type {unknown} */ (DOMPurify.sanitize(html, RULES)));
  for (const link of fragment.querySelectorAll("a")) secureLink(link);
  for (const image of fragment.querySelectorAll("img")) secureImage(image);
  for (const pre of fragment.querySelectorAll("pre")) {
    pre.replaceWith(codeBlock(pre.textContent ?? "", pre.dataset.language ?? ""));
  }
  for (const table of fragment.querySelectorAll("table")) {
    const frame = h("div", { class: "table-frame", tabindex: "0", role: "region", "aria-label": "Table" });
    table.replaceWith(frame);
    frame.append(table);
  }
  for (const box of fragment.querySelectorAll("input")) {
    if (box.type === "checkbox") box.setAttribute("aria-label", box.checked ? "Done" : "To do");
    else box.remove();
  }
  // Blocks are counted by element: bare text would slip through.
  for (const node of [...fragment.childNodes]) {
    if (node.nodeType === Node.TEXT_NODE && node.textContent?.trim())
      node.replaceWith(h("p", {}, node.textContent));
  }
  return fragment;
}

/** @param {HTMLAnchorElement} link */
function secureLink(link) {
  const target = link.getAttribute("href") ?? "";
  if (!SAFE_LINK.test(target)) {
    // A path in the workspace, or something a click should not run: shown, not followed.
    link.replaceWith(h("span", { class: "dead-link", title: target }, ...link.childNodes));
    return;
  }
  link.target = "_blank";
  link.rel = "noopener noreferrer nofollow";
}

/** @param {HTMLImageElement} image */
function secureImage(image) {
  const source = image.getAttribute("src") ?? "";
  if (SAFE_IMAGE.test(source)) {
    image.loading = "lazy";
    return;
  }
  const label = image.alt || source || "image";
  const link = /** @type {HTMLAnchorElement} */ (h("a", { href: source }, `Image: ${label}`));
  image.replaceWith(link);
  secureLink(link);
}
