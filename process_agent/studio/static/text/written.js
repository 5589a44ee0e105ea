/** Arguments of a call that the model still writes: as far as its JSON goes. Pure. */

/** A text, perhaps not to its end, of whole characters only. */
const STRING = /"((?:[^"\\\u0000-\u001f]+|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*)("?)/y;
const SPACE = /[\s,{:]*/y;

/**
 * The members that are texts, up to the first that is none; the last one as far as it was written.
 * @param {string} json
 * @returns {Record<string, string>}
 */
export function writtenTexts(json) {
  /** @type {Record<string, string>} */
  const found = {};
  let at = 0;
  /** @returns {{text: string, whole: boolean} | null} */
  const next = () => {
    SPACE.lastIndex = at;
    SPACE.exec(json);
    STRING.lastIndex = SPACE.lastIndex;
    const match = STRING.exec(json);
    if (!match) return null;
    at = STRING.lastIndex;
    return { text: decoded(match[1]), whole: match[2] === '"' };
  };
  for (;;) {
    const name = next();
    if (!name?.whole) return found;
    const value = next();
    if (!value) return found;
    found[name.text] = value.text;
    if (!value.whole) return found;
  }
}

/** @param {string} escaped @returns {string} */
function decoded(escaped) {
  const text = JSON.parse(`"${escaped}"`);
  return /[\ud800-\udbff]$/.test(text) ? text.slice(0, -1) : text;
}
