/** Images by their address, and nothing from another host: inline ones, and files of the room. */

import { h } from "./dom.js";

/** @typedef {import("../model/types.js").Picture} Picture */
/** @typedef {(path: string) => Promise<string | null>} FindFile  an address of this server, or null */

const INLINE = /^data:image\/(png|jpe?g|gif|webp|avif);base64,/i;
const STORED = /^room:\/\/\/?(.+\.(?:png|jpe?g|gif|webp|avif))$/i;

/**
 * An image, or its address as text when it cannot be shown.
 * @param {Picture} picture
 * @param {FindFile} find
 * @returns {HTMLElement}
 */
export function pictureView(picture, find) {
  const { uri, width, height } = picture;
  const size = { width: side(width), height: side(height) };
  const words = { alt: "Image from the agent", loading: "lazy", decoding: "async" };
  if (INLINE.test(uri)) return h("img", { src: uri, ...words, ...size });
  const stored = STORED.exec(uri);
  if (!stored) return address(uri);
  const frame = h("span", { class: "picture", role: "status" }, "Loading the image…");
  void find(decoded(stored[1])).then((found) => {
    if (found === null) {
      frame.replaceWith(address(uri));
      return;
    }
    const image = h("img", { src: found, ...words, ...size });
    image.addEventListener("error", () => image.replaceWith(address(uri)));
    frame.replaceWith(image);
  });
  // What is replaced needs a parent that stays.
  return h("span", { class: "picture-frame" }, frame);
}

/** @param {string} uri */
function address(uri) {
  return h("code", {}, uri.length > 300 ? `${uri.slice(0, 300)}…` : uri || "…");
}

/** Pixels of one side, when they are of any use. @param {number | undefined} value */
function side(value) {
  return value && value > 0 && value <= 16_384 ? Math.round(value) : null;
}

/** @param {string} path */
function decoded(path) {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
