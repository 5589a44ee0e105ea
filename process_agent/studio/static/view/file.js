/** Files the agent shows: images as they are, all of them to be fetched from the room. */

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

/** The address holds for a while only, so that it is asked for when somebody wants the file. */
function fetchButton(/** @type {string} */ path, /** @type {FindFile} */ find) {
  const name = path.split("/").at(-1) || path;
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
