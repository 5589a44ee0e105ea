/** What may be attached to a message, and under which names the room keeps it. Pure. */

/** @typedef {import("./types.js").ContentPart} ContentPart */

/** Files of one message; the agent fetches no more. */
export const MAX_FILES = 20;
/** Bytes of one file: of a larger one the agent makes no copy. */
export const MAX_BYTES = 64 * 1024 * 1024;
/** Bytes of an image that a model can look at. */
export const MAX_SEEN = 6 * 1024 * 1024;

const FOLDER = "uploads";
/** Of four bytes each they still are a name that disks take. */
const NAME_CHARACTERS = 60;

/**
 * Why files cannot be attached, one sentence for each that is refused, and those that can.
 * @template {{name: string, size: number}} T
 * @param {T[]} files
 * @param {number} there how many the message has already
 * @returns {{taken: T[], refused: string[]}}
 */
export function admit(files, there) {
  /** @type {T[]} */
  const taken = [];
  const refused = [];
  for (const file of files) {
    if (file.size > MAX_BYTES)
      refused.push(`${file.name} has ${size(file.size)}; a file can have at most ${size(MAX_BYTES)}.`);
    else if (there + taken.length < MAX_FILES) taken.push(file);
    else if (!refused.includes(TOO_MANY)) refused.push(TOO_MANY);
  }
  return { taken, refused };
}

const TOO_MANY = `A message can have at most ${MAX_FILES} files; the others were left out.`;

/** What a model cannot do with a file, if anything. @param {{type: string, size: number}} file */
export function cautionAbout(file) {
  return file.type.startsWith("image/") && file.size > MAX_SEEN
    ? `The model can look at images of up to ${size(MAX_SEEN)}: of this one it gets the path.`
    : "";
}

/**
 * Where the room keeps a file: in a folder of its own, so that it keeps its name. The agent attaches nothing that is
 * hidden, so that the name does not begin with a dot.
 * @param {string} name
 * @param {string} id
 */
export function pathFor(name, id) {
  const plain = name.replace(/[\u0000-\u001f\u007f/\\:*?"<>|]+/g, "_").replace(/^[.\s]+/, "").trim();
  return `${FOLDER}/${id}/${cut(plain) || "file"}`;
}

/** The part of a message that stands for a file in the room. @param {string} path @param {string} name @returns {ContentPart} */
export function filePart(path, name) {
  const address = path.split("/").map(encodeURIComponent).join("/");
  return { type: "file", url: `room:///${address}`, name: name.slice(0, 200) };
}

/** @param {number} bytes @returns {string} like `512 bytes`, `12 KB`, `3.4 MB` */
export function size(bytes) {
  if (bytes < 1024) return bytes === 1 ? "1 byte" : `${bytes} bytes`;
  const unit = bytes < 1024 * 1024 ? 1024 : 1024 * 1024;
  const value = bytes / unit;
  const text = value >= 10 ? String(Math.round(value)) : value.toFixed(1).replace(/\.0$/, "");
  return `${text} ${unit === 1024 ? "KB" : "MB"}`;
}

/** A name of a bearable length that keeps its ending. Halves of characters are cut off. @param {string} name */
function cut(name) {
  const letters = [...name];
  if (letters.length <= NAME_CHARACTERS) return name;
  const dot = letters.lastIndexOf(".");
  const ending = dot > 0 && letters.length - dot <= 16 ? letters.slice(dot) : [];
  return letters.slice(0, NAME_CHARACTERS - ending.length).join("") + ending.join("");
}
