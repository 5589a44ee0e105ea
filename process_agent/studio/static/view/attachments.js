/** Files of the message that is being written: on their way to the room, there, or refused. */

import { admit, cautionAbout, filePart, pathFor, size } from "../model/attaching.js";
import { newId } from "../wire/ids.js";
import { h, Keyed, setAttribute } from "./dom.js";
import { icon } from "./icons.js";
import { isPicture, pictureView } from "./picture.js";

/**
 * @typedef {import("../model/types.js").ContentPart} ContentPart
 * @typedef {{id: string, file: File, path: string, share: number, error: string, aborter: AbortController}} Attached
 */

export class Attachments {
  /**
   * @param {import("../model/types.js").Actions} actions
   * @param {() => void} changed what can be sent is something else now
   * @param {() => void} left the control that was used is gone
   */
  constructor(actions, changed, left) {
    this.actions = actions;
    this.changed = changed;
    this.left = left;
    /** By draft. @type {Map<string, Attached[]>} */
    this.kept = new Map();
    this.draft = "";
    window.addEventListener("pagehide", () => this.#abandon());
    this.list = h("ul", { class: "chips", "aria-label": "Attached files" });
    this.note = h("p", { class: "attach-note", role: "alert" });
    this.el = h("div", { class: "attachments", hidden: true }, this.list, this.note);
    /** @type {Keyed<Attached>} */
    this.chips = new Keyed(
      this.list,
      (one) => one.id,
      () => chip(actions, (one) => this.#remove(one), (one) => void this.#upload(one)),
    );
  }

  get files() {
    return this.kept.get(this.draft) ?? [];
  }

  /** Whether all of it is in the room. */
  get ready() {
    return this.files.every((one) => one.share === 1 && !one.error);
  }

  /** Shows the files of another draft. @param {string} draft */
  show(draft) {
    this.draft = draft;
    this.#draw();
  }

  /** @param {File[]} files */
  add(files) {
    const { taken, refused } = admit(files, this.files.length);
    const added = taken.map((file) => {
      const id = newId();
      const path = pathFor(file.name, id.slice(0, 8));
      return { id, file, path, share: 0, error: "", aborter: new AbortController() };
    });
    this.kept.set(this.draft, [...this.files, ...added]);
    this.note.textContent = refused.join(" ");
    this.#draw();
    for (const one of added) void this.#upload(one);
  }

  /** Says why something cannot be attached. @param {string} why */
  refuse(why) {
    this.note.textContent = why;
    this.#draw();
  }

  /** The files as parts of a message, which the tray has no more. @returns {ContentPart[]} */
  take() {
    const parts = this.files.map((one) => filePart(one.path, one.file.name));
    this.kept.delete(this.draft);
    this.note.textContent = "";
    this.#draw();
    return parts;
  }

  /** @param {Attached} one */
  async #upload(one) {
    this.#change(one, { share: 0, error: "" });
    try {
      await this.actions.upload(one.path, one.file, (share) => this.#progress(one.id, share), one.aborter.signal);
      if (one.aborter.signal.aborted) this.actions.discard(one.path); // removed when all of it was on its way
      else this.#change(one, { share: 1 });
    } catch (error) {
      if (!one.aborter.signal.aborted) this.#change(one, { error: error instanceof Error ? error.message : String(error) });
    }
  }

  /** All but the end, which comes once the room keeps it. @param {string} id @param {number} share */
  #progress(id, share) {
    const chip = this.list.querySelector(`[data-id="${id}"] progress`);
    if (chip) chip.value = Math.min(share, 0.99);
  }

  /** @param {Attached} one @param {Partial<Attached>} how */
  #change(one, how) {
    for (const [draft, files] of this.kept)
      this.kept.set(draft, files.map((known) => (known.id === one.id ? { ...known, ...how } : known)));
    this.#draw();
  }

  /** @param {Attached} one */
  #remove(one) {
    one.aborter.abort();
    this.kept.set(this.draft, this.files.filter((known) => known.id !== one.id));
    this.note.textContent = "";
    if (one.share === 1) this.actions.discard(one.path);
    this.#draw();
    this.left();
  }

  /** The page is left: what was never sent does not stay in the room. */
  #abandon() {
    const files = [...this.kept.values()].flat();
    this.kept.clear();
    for (const one of files) one.aborter.abort();
    if (files.length) this.actions.abandon(files.map((one) => one.path));
    this.#draw();
  }

  #draw() {
    this.chips.update(this.files);
    setAttribute(this.list, "hidden", this.files.length === 0);
    setAttribute(this.note, "hidden", !this.note.textContent);
    setAttribute(this.el, "hidden", this.files.length === 0 && !this.note.textContent);
    this.changed();
  }
}

/**
 * @param {import("../model/types.js").Actions} actions
 * @param {(one: Attached) => void} remove
 * @param {(one: Attached) => void} again
 */
function chip(actions, remove, again) {
  const el = h("li", { class: "chip" });
  return {
    el,
    /** @param {Attached} one */
    update(one) {
      const { name } = one.file;
      const state = one.error ? "failed" : one.share === 1 ? "there" : "coming";
      const caution = cautionAbout(one.file);
      setAttribute(el, "data-state", state);
      setAttribute(el, "data-id", one.id);
      const shown = [
        sign(one, state, actions),
        h(
          "span",
          { class: "chip-words" },
          h("span", { class: "chip-name", title: name }, name),
          h("span", { class: "chip-note" }, one.error || caution || size(one.file.size)),
        ),
        state === "failed" && chipButton("retry", `Upload ${name} again`, () => again(one)),
        chipButton("cross", `Remove ${name}`, () => remove(one)),
        state === "coming" && h("progress", { max: 1, value: 0, "aria-label": `Uploading ${name}` }),
      ];
      el.replaceChildren(...shown.filter((part) => part !== false));
    },
  };
}

/** @param {Attached} one @param {string} state @param {import("../model/types.js").Actions} actions */
function sign(one, state, actions) {
  const { url } = /** @type {{url: string}} */ (filePart(one.path, one.file.name));
  const look = state === "there" && isPicture(url) && pictureView({ uri: url }, (wanted) => actions.findFile(wanted), "");
  return h("span", { class: "chip-sign" }, look || icon(state === "failed" ? "alert" : kind(one.file)));
}

/** @param {File} file */
function kind(file) {
  return file.type.startsWith("image/") ? "image" : "file";
}

/** @param {string} name @param {string} label @param {() => void} click */
function chipButton(name, label, click) {
  return h("button", { type: "button", class: "quiet-button chip-button", "aria-label": label, title: label, on: { click } }, icon(name));
}

/**
 * The files that were dropped or pasted; folders have none, and are told apart while the event lasts.
 * @param {DataTransfer | null} data
 * @returns {{files: File[], folders: number}}
 */
export function filesIn(data) {
  const items = [...(data?.items ?? [])].filter((item) => item.kind === "file");
  const folders = items.filter((item) => item.webkitGetAsEntry?.()?.isDirectory);
  const files = items.filter((item) => !folders.includes(item)).map((item) => item.getAsFile());
  return { files: /** @type {File[]} */ (files.filter((file) => file !== null)), folders: folders.length };
}
