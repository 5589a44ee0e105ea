/** Views of items that are not steps. */

import { diffFiles, planSteps } from "../text/tool_summary.js";
import { totals } from "../text/diff.js";
import { plural } from "../text/format.js";
import { countsView, diffView } from "./diff_view.js";
import { h, setAttribute } from "./dom.js";
import { attachedView, fileViews } from "./file.js";
import { icon } from "./icons.js";
import { pictureView } from "./picture.js";
import { RichText } from "./rich_text.js";

/**
 * @typedef {import("../model/types.js").UserItem} UserItem
 * @typedef {import("../model/types.js").TextItem} TextItem
 * @typedef {import("../model/types.js").ToolItem} ToolItem
 * @typedef {import("../model/types.js").MediaItem} MediaItem
 * @typedef {import("../model/types.js").ImageItem} ImageItem
 * @typedef {import("../model/types.js").NoticeItem} NoticeItem
 * @typedef {import("./picture.js").FindFile} FindFile
 * @typedef {import("../model/types.js").ContentPart} ContentPart
 */

/** @param {string | null} self name of the user of this page @param {FindFile} find */
export function userView(self, find) {
  const el = h("div", { class: "message user" });
  return {
    el,
    /** @param {UserItem} item */
    update(item) {
      el.replaceChildren(
        bubble(
          item.content,
          item.sender !== self ? item.sender : null,
          item.steer ? "while it worked" : null,
          find,
        ),
      );
    },
  };
}

/**
 * What somebody wrote, and attached.
 * @param {ContentPart[]} content
 * @param {string | null} sender
 * @param {string | null} note
 * @param {FindFile} find
 */
export function bubble(content, sender, note, find) {
  const parts = content.map((part) => (part.type === "text" ? said(part.text) : attachedView(part, find)));
  const label = [sender, note].filter(Boolean).join(" · ");
  return h(
    "div",
    { class: "bubble-column" },
    label && h("span", { class: "bubble-label" }, label),
    h("div", { class: "bubble" }, ...parts),
  );
}

/** Lines and characters of a message above which it is folded. */
const LONG_LINES = 24;
const LONG_CHARACTERS = 2_400;

/** What somebody wrote; the rest of a long text, like a file that was pasted, shows on demand. @param {string} text */
function said(text) {
  const words = h("p", {}, text);
  if (text.length <= LONG_CHARACTERS && text.split("\n").length <= LONG_LINES) return words;
  const more = h("button", { type: "button", class: "link-button", "aria-expanded": "false" }, "Show all of it");
  const el = h("div", { class: "long-text", "data-open": false }, words, more);
  more.addEventListener("click", () => {
    const open = el.dataset.open !== "true";
    setAttribute(el, "data-open", open);
    setAttribute(more, "aria-expanded", String(open));
    more.textContent = open ? "Show less" : "Show all of it";
  });
  return el;
}

export function textView() {
  const rich = new RichText();
  const el = h("div", { class: "message agent" }, rich.el);
  return {
    el,
    /** @param {TextItem} item */
    update(item) {
      setAttribute(el, "data-phase", item.phase);
      setAttribute(el, "data-streaming", !item.done);
      rich.update(item.text, item.done);
    },
  };
}

/** @param {FindFile} find */
export function mediaView(find) {
  const el = h("figure", { class: "media" });
  let shown = "";
  return {
    el,
    /** @param {MediaItem} item */
    update(item) {
      if (item.url === shown && el.firstChild) return;
      shown = item.url;
      el.replaceChildren(...fileViews(item.url, find));
    },
  };
}

/** Characters of what an image was to show that stand below it. */
const MAX_PROMPT = 500;

const UNMADE = { running: "An image is being made", stopped: "The image was not finished.", done: "", failed: "" };

/** Images the agent makes: how far they are, then as they are. @param {FindFile} find */
export function imageView(find) {
  const pictures = h("div", { class: "pictures" });
  const note = h("figcaption", {});
  const el = h("figure", { class: "media generated" }, pictures, note);
  /** @type {string[]} */
  let shown = [];
  return {
    el,
    /** @param {ImageItem} item */
    update(item) {
      const images = item.images.length > 0 ? item.images : item.partial ? [item.partial] : [];
      setAttribute(el, "data-state", item.state);
      setAttribute(el, "aria-busy", item.state === "running" ? "true" : null);
      const uris = images.map((image) => image.uri);
      if (uris.length !== shown.length || uris.some((uri, index) => uri !== shown[index])) {
        shown = uris;
        pictures.replaceChildren(...images.map((image) => pictureView(image, find, item.prompt || undefined)));
      }
      const words =
        item.state === "failed"
          ? `The image could not be made. ${item.error}`.trim()
          : UNMADE[item.state] || item.prompt.slice(0, MAX_PROMPT);
      note.replaceChildren(
        ...(item.state === "running" ? [h("span", { class: "spinner" })] : []),
        ...(words ? [words] : []),
      );
    },
  };
}

export function noticeView() {
  const el = h("div", { class: "notice" });
  return {
    el,
    /** @param {NoticeItem} item */
    update(item) {
      setAttribute(el, "data-level", item.level);
      el.replaceChildren(
        icon(item.level === "error" ? "alert" : "info"),
        h("div", {}, h("p", {}, item.text), item.detail && h("p", { class: "detail" }, item.detail)),
      );
    },
  };
}

export function planView() {
  const list = h("ol", { class: "plan-steps" });
  const count = h("span", { class: "card-note" });
  const el = h(
    "section",
    { class: "card plan", "aria-label": "Plan" },
    h("h4", {}, icon("plan"), "Plan", count),
    list,
  );
  return {
    el,
    /** @param {ToolItem} item */
    update(item) {
      const steps = planSteps(item);
      count.textContent = `${steps.filter((step) => step.status === "completed").length} / ${steps.length}`;
      list.replaceChildren(...steps.map(planStep));
    },
  };
}

/** @param {import("../text/tool_summary.js").PlanStep} step */
function planStep(step) {
  const words = { completed: "done", in_progress: "in progress", pending: "to do" };
  return h(
    "li",
    { "data-status": step.status },
    h(
      "span",
      { class: "box", role: "img", "aria-label": words[step.status] },
      step.status === "completed" ? icon("check") : null,
    ),
    h("span", {}, step.step),
  );
}

/** All changes of a turn. What the user folded stays folded while the diff grows. */
export function changesView() {
  const title = h("span", {});
  const counts = h("span", {});
  const body = h("div", {});
  const el = h(
    "section",
    { class: "card changes", "aria-label": "Changes" },
    h("h4", {}, icon("diff"), title, counts),
    body,
  );
  let drawn = "";
  return {
    el,
    /** @param {ToolItem} item */
    update(item) {
      if (item.args.diff === drawn) return;
      drawn = item.args.diff;
      const files = diffFiles(item);
      title.textContent = `${plural(files.length, "file")} changed`;
      counts.replaceChildren(countsView(totals(files)));
      const open = new Map([...body.querySelectorAll("details")].map((d) => [d.dataset.path, d.open]));
      body.replaceChildren(diffView(files, (path) => open.get(path)));
    },
  };
}
