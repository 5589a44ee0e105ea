/** Files that people attach and the agent shows: images as they are, all of them to be fetched from the room. */

import { h } from "./dom.js";
import { icon } from "./icons.js";
import { decoded, isPicture, pictureView } from "./picture.js";

/** @typedef {import("./picture.js").FindFile} FindFile */

const STORED = /^room:\/*(.+)$/i;
const GONE = "The room has this file no more, or you may not read it.";

/**
 * @param {string} url
 * @param {FindFile} find
 * @returns {HTMLElement[]}
 */
export function fileViews(url, find) {
  const stored = STORED.exec(url);
  const shown = isPicture(url) || !stored ? [pictureView({ uri: url }, find)] : [];
  return stored ? [...shown, h("figcaption", {}, fetchButton(decoded(stored[1]), find))] : shown;
}

/**
 * What somebody attached: a picture with its name, or a file to fetch.
 * @param {{url: string, name?: string | null}} part
 * @param {FindFile} find
 * @returns {HTMLElement}
 */
export function attachedView(part, find) {
  const { url } = part;
  const stored = STORED.exec(url);
  const path = stored ? decoded(stored[1]) : "";
  const name = part.name || path.split("/").at(-1) || "";
  const caption = stored ? fetchButton(path, find, name) : url.startsWith("data:") ? saveLink(url, name || "file") : name;
  if (isPicture(url)) {
    const words = caption && h("figcaption", {}, caption);
    return h("figure", { class: "attachment picture-card" }, pictureView({ uri: url }, find, name || "Attached image"), words);
  }
  const shown = caption || url;
  return h("div", { class: "attachment" }, typeof shown === "string" ? h("code", { title: url.slice(0, 300) }, shown) : shown);
}

/** What is in the message itself. @param {string} url @param {string} name */
function saveLink(url, name) {
  return h("a", { class: "file-button", href: url, download: name, "aria-label": `Download ${name}` }, icon("arrowDown"), name);
}

/** The address holds for a while only, so that it is asked for when somebody wants the file. */
function fetchButton(/** @type {string} */ path, /** @type {FindFile} */ find, name = path.split("/").at(-1) || path) {
  const button = h("button", { class: "file-button", type: "button", title: path }, icon("arrowDown"), name);
  button.setAttribute("aria-label", `Download ${name}`);
  button.addEventListener("click", async () => {
    const address = await find({ file: path, save: true });
    if (address === null) {
      button.replaceWith(h("span", { class: "file-gone", role: "status" }, `${name}: ${GONE}`));
      return;
    }
    const link = h("a", { href: address, download: name });
    link.click();
  });
  return button;
}
