/**
 * Agent messages as they may come from anybody in the room: fields of the wrong type are left out, so that
 * nothing behind this has to doubt what it gets. Pure.
 */

/** @typedef {import("../wire/frames.js").Body} Body */

/** @typedef {(value: unknown) => any} Reader  undefined when the value cannot be used */

/** @type {Reader} */
const text = (value) => (typeof value === "string" ? value : undefined);
/** @type {Reader} */
const number = (value) => (typeof value === "number" && Number.isFinite(value) ? value : undefined);
/** @type {Reader} */
const flag = (value) => (typeof value === "boolean" ? value : undefined);
/** @type {Reader} */
const object = (value) => (isObject(value) ? value : undefined);

/**
 * @param {Record<string, Reader>} fields
 * @returns {Reader}
 */
const shape = (fields) => (value) => (isObject(value) ? pick(value, fields) : undefined);

/**
 * Entries that cannot be used are left out.
 * @param {Reader} entry
 * @returns {Reader}
 */
const list = (entry) => (value) =>
  Array.isArray(value) ? value.map(entry).filter((one) => one !== undefined) : undefined;

/**
 * @param {Reader} entry
 * @param {...string} needed
 * @returns {Reader}
 */
const having =
  (entry, ...needed) =>
  (value) => {
    const read = entry(value);
    return read !== undefined && needed.every((name) => read[name] !== undefined) ? read : undefined;
  };

const THREAD = having(shape({ path: text, name: text, created_at: text, modified_at: text }), "path");
const MODEL = having(shape({ name: text, friendly_name: text, active: flag }), "name");
const PROVIDER = having(
  shape({ name: text, friendly_name: text, backend: text, default_model: text, models: list(MODEL) }),
  "name",
  "backend",
);
const FAILURE = shape({ message: text, code: text });

/** @type {Reader} */
const part = (value) => {
  const read = shape({ type: text, text, url: text, name: text })(value);
  if (read?.type === "text") return read.text === undefined ? undefined : { type: "text", text: read.text };
  return read?.url === undefined ? undefined : { type: "file", url: read.url, name: read.name ?? null };
};

const EVENT = shape({
  type: text,
  kind: text,
  state: text,
  headline: text,
  summary: text,
  details: list(text),
  item_id: text,
  turn_id: text,
  correlation_key: text,
  source_message_id: text,
  text,
  error: FAILURE,
});

const PICTURE = having(shape({ uri: text, mime_type: text, width: number, height: number }), "uri");

const OPTION = having(shape({ label: text, description: text }), "label");
const QUESTION = having(
  shape({
    id: text,
    header: text,
    text,
    options: list(OPTION),
    free: flag,
    several: flag,
    required: flag,
    kind: text,
  }),
  "id",
);

const OWN = shape({
  cost: number,
  automatic: flag,
  older: text,
  summary: text,
  reason: text,
  approval_reason: text,
  approval: shape({ accepted: flag, by: text }),
  decisions: list(text),
  number,
  approvers: list(text),
  questions: list(QUESTION),
});

/** @type {Record<string, Reader>} */
const FIELDS = {
  ...Object.fromEntries(
    [
      ...[
        "type",
        "message_id",
        "created_at",
        "sender_name",
        "thread_id",
        "turn_id",
        "item_id",
        "source_message_id",
      ],
      ...["text", "delta", "phase", "url", "toolkit", "tool", "namespace", "status", "mode", "started_at"],
      ...["pending_item_id", "backend", "provider", "model", "path", "request_id", "prompt", "secret_name"],
    ].map((name) => [name, text]),
  ),
  offset: number,
  total: number,
  content: list(part),
  lines: list(having(shape({ source: text, text }), "text")),
  arguments: object,
  result: object,
  usage: object,
  error: FAILURE,
  context_window: shape({ used_tokens: number, total_tokens: number, compaction_threshold: number }),
  oauth: shape({ authorization_endpoint: text, redirect_uri: text }),
  image: PICTURE,
  metadata: shape({ process: OWN }),
  event: EVENT,
  images: list(PICTURE),
  thread: THREAD,
  threads: list(THREAD),
  providers: list(PROVIDER),
};

/**
 * @param {unknown} body
 * @returns {Body | null} null when it is no message at all
 */
export function cleanMessage(body) {
  if (!isObject(body) || typeof body.type !== "string") return null;
  return pick(body, FIELDS);
}

/** @param {Body} value @param {Record<string, Reader>} fields @returns {Body} */
function pick(value, fields) {
  /** @type {Body} */
  const picked = {};
  for (const [name, read] of Object.entries(fields)) {
    const found = read(value[name]);
    if (found !== undefined) picked[name] = found;
  }
  return picked;
}

/** @param {unknown} value @returns {value is Body} */
function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
