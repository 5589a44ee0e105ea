/** Building and keeping elements, without templates and without innerHTML. */

/**
 * An element. In `props`, `on` holds listeners, `class` and other names become attributes; false, null and
 * undefined leave an attribute out, but `data-` attributes say "true" and "false". Children that are null or false are left out.
 * @param {string} tag
 * @param {Record<string, any>} [props]
 * @param {...(Node | string | null | false | undefined)} children
 * @returns {any} the element, of whatever class the tag makes
 */
export function h(tag, props = {}, ...children) {
  const el = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name === "on")
      for (const [event, listener] of Object.entries(value)) el.addEventListener(event, listener);
    else setAttribute(el, name, value);
  }
  el.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return el;
}

/** @param {Element} el @param {string} name @param {string | number | boolean | null | undefined} value */
export function setAttribute(el, name, value) {
  if (typeof value === "boolean" && name.startsWith("data-")) el.setAttribute(name, String(value));
  else if (value === null || value === undefined || value === false) el.removeAttribute(name);
  else if (el.getAttribute(name) !== String(value))
    el.setAttribute(name, value === true ? "" : String(value));
}

/** @param {Element} el @param {string} text */
export function setText(el, text) {
  if (el.textContent !== text) el.textContent = text;
}

/**
 * @template T
 * @typedef {{el: HTMLElement, update: (value: T) => void}} View
 */

/**
 * Children that follow a list of values. A value that is the same object as before costs nothing.
 * @template T
 */
export class Keyed {
  /**
   * @param {HTMLElement} parent
   * @param {(value: T) => string} key
   * @param {(value: T) => View<T>} create makes the view; `update` is called right after
   */
  constructor(parent, key, create) {
    this.parent = parent;
    this.key = key;
    this.create = create;
    /** @type {Map<string, {view: View<T>, value: T}>} */
    this.kept = new Map();
  }

  /** @param {T[]} values */
  update(values) {
    const next = new Map();
    let at = this.parent.firstElementChild;
    for (const value of values) {
      const entry = this.#entry(value);
      next.set(this.key(value), entry);
      if (entry.view.el === at) at = at.nextElementSibling;
      else this.parent.insertBefore(entry.view.el, at);
    }
    for (const [key, entry] of this.kept) if (!next.has(key)) entry.view.el.remove();
    this.kept = next;
  }

  /** @param {T} value */
  #entry(value) {
    const known = this.kept.get(this.key(value));
    if (known) {
      if (known.value !== value) known.view.update(value);
      known.value = value;
      return known;
    }
    const view = this.create(value);
    view.update(value);
    return { view, value };
  }
}
