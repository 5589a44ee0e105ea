/** Images by their address, and nothing from another host: inline ones, and files of the room. */

import { h } from "./dom.js";

/** @typedef {import("../model/types.js").Picture} Picture */
/**
 * Where this server has a file of the room's storage, or an image of its table; null when it has none.
 * With `save` the browser shall save it rather than show it.
 * @typedef {{file: string, save?: boolean} | {image: string}} Wanted
 * @typedef {(wanted: Wanted) => Promise<string | null>} FindFile
 */

const INLINE = /^data:image\/(png|jpe?g|gif|webp|avif);base64,/i;
/** An image in the room's table of images, by its id. */
const KEPT = /^dataset:\/\/images\/?\?(?:.*&)?id=([^&#]{1,600})/i;
const STORED = /^room:\/\/\/?(.+\.(?:png|jpe?g|gif|webp|avif))$/i;

/**
 * An image, or its address as text when it cannot be shown.
 * @param {Picture} picture
 * @param {FindFile} find
 * @param {string} [alt] what stands for it
 * @returns {HTMLElement}
 */
export function pictureView(picture, find, alt = "Image from the agent") {
  const { uri, width, height } = picture;
  const size = { width: side(width), height: side(height) };
  const words = { alt, loading: "lazy", decoding: "async" };
  if (INLINE.test(uri)) return h("img", { src: uri, ...words, ...size });
  const kept = KEPT.exec(uri);
  if (kept) return shown(find({ image: decoded(kept[1]) }), uri, { ...words, ...size });
  const stored = STORED.exec(uri);
  return stored ? shown(find({ file: decoded(stored[1]) }), uri, { ...words, ...size }) : address(uri);
}

/**
 * What is loaded first, then the image, or its address when there is none.
 * @param {Promise<string | null>} looking
 * @param {string} uri
 * @param {Record<string, any>} words
 */
function shown(looking, uri, words) {
  const frame = h("span", { class: "picture", role: "status" }, "Loading the image…");
  void looking.then((found) => {
    if (found === null) {
      frame.replaceWith(address(uri));
      return;
    }
    const image = h("img", { src: found, ...words });
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

/** Whether an address can be that of an image. @param {string} uri */
export function isPicture(uri) {
  return INLINE.test(uri) || STORED.test(uri) || KEPT.test(uri);
}

/** Pixels of one side, when they are of any use. @param {number | undefined} value */
function side(value) {
  return value && value > 0 && value <= 16_384 ? Math.round(value) : null;
}

/** @param {string} path */
export function decoded(path) {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
