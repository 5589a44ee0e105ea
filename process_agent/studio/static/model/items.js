/** Items of a turn: what each agent message does to them. Pure. */

/**
 * @typedef {import("./types.js").Body} Body
 * @typedef {import("./types.js").Item} Item
 * @typedef {import("./types.js").ToolItem} ToolItem
 */

/** Characters of a tool's output kept per item; older output is dropped, and the item says how much. */
export const LOG_LIMIT = 200_000;

/** Codes of tool calls that somebody, or the end of their turn, cut short. */
const STOPPED = new Set(["interrupted", "cancelled", "unfinished"]);

/** @typedef {(item: any, message: Body, at: number) => Item} Rule */

/**
 * What makes an item and changes it, by message type without the prefix.
 * @type {Record<string, {kind: Item["kind"], change: Rule}>}
 */
export const ITEM_RULES = {
  "text_content.started": {
    kind: "text",
    change: (item, m) => ({ ...item, text: "", phase: m.phase ?? item.phase }),
  },
  "text_content.delta": {
    kind: "text",
    change: (item, m) => ({ ...item, text: item.text + (m.text ?? ""), phase: m.phase ?? item.phase }),
  },
  "text_content.ended": {
    kind: "text",
    change: (item, m) => ({ ...item, text: m.text ?? item.text, done: true }),
  },
  "reasoning_content.started": { kind: "reasoning", change: (item) => ({ ...item, text: "" }) },
  "reasoning_content.delta": {
    kind: "reasoning",
    change: (item, m) => ({ ...item, text: item.text + (m.text ?? "") }),
  },
  "reasoning_content.ended": {
    kind: "reasoning",
    change: (item, _, at) => ({ ...item, done: true, endedAt: at }),
  },
  "file_content.delta": { kind: "media", change: (item, m) => ({ ...item, url: m.url ?? item.url }) },
  "file_content.ended": { kind: "media", change: (item) => ({ ...item, done: true }) },
  "image_generation.started": { kind: "image", change: (item, m) => ({ ...item, prompt: promptOf(m, item) }) },
  "image_generation.partial": {
    kind: "image",
    change: (item, m) => (item.state === "running" ? { ...item, partial: m.image ?? item.partial } : item),
  },
  "image_generation.completed": {
    kind: "image",
    change: (item, m) => ({
      ...item,
      images: m.images ?? [],
      prompt: promptOf(m, item),
      partial: null,
      state: "done",
    }),
  },
  "image_generation.failed": {
    kind: "image",
    change: (item, m) => ({ ...item, partial: null, state: "failed", error: m.error?.message ?? "" }),
  },
  "tool_call.pending": { kind: "tool", change: started },
  "tool_call.in_progress": { kind: "tool", change: started },
  "tool_call.started": { kind: "tool", change: started },
  "tool_call.arguments_delta": {
    kind: "tool",
    change: (item, m) => ({ ...named(item, m), argsText: (item.argsText + (m.delta ?? "")).slice(0, LOG_LIMIT) }),
  },
  "tool_call.log_delta": { kind: "tool", change: logged },
  "tool_call.ended": { kind: "tool", change: ended },
  "tool_call.approval_requested": { kind: "tool", change: approvalAsked },
};

/** @type {import("./types.js").Approval} */
const NOT_ASKED = {
  state: "asked",
  reason: null,
  by: null,
  text: "",
  decisions: [],
  questions: [],
  number: 0,
  approvers: [],
};

/** How the ids of texts begin that say what an approval card shows, for clients that draw none. */
const OF_APPROVALS = "notice:approval:";

/** Whether an item is shown in another form already. @param {string} kind @param {string} id */
export function isSaidTwice(kind, id) {
  return kind === "text" && id.startsWith(OF_APPROVALS);
}

/**
 * A new item before its first message is applied.
 * @param {Item["kind"]} kind
 * @param {string} id
 * @param {number} at
 * @returns {Item}
 */
export function blankItem(kind, id, at) {
  const key = `${kind}:${id}`;
  switch (kind) {
    case "text":
      return { kind, key, id, text: "", phase: null, done: false, at };
    case "reasoning":
      return { kind, key, id, text: "", done: false, startedAt: at, endedAt: null };
    case "media":
      return { kind, key, id, url: "", done: false };
    case "image":
      return { kind, key, id, images: [], prompt: "", partial: null, state: "running", error: "" };
    case "user":
      return { kind, key, id, content: [], sender: null, steer: false, at };
    case "notice":
      return { kind, key, id, level: "info", text: "", detail: "", compaction: false };
    default:
      return blankTool(key, id, at);
  }
}

/**
 * An item of a turn that is over: nothing runs any more.
 * @param {Item} item
 * @param {number} at
 * @returns {Item}
 */
export function settle(item, at) {
  if (item.kind === "text" && !item.done) return { ...item, done: true };
  if (item.kind === "reasoning" && !item.done) return { ...item, done: true, endedAt: at };
  if (item.kind === "image" && item.state === "running") return { ...item, state: "stopped" };
  if (item.kind !== "tool") return item;
  const waits = item.approval?.state === "asked" || item.approval?.state === "answering";
  const approval =
    waits && item.approval ? { ...item.approval, state: /** @type {const} */ ("lapsed") } : item.approval;
  if (item.state !== "running") return approval === item.approval ? item : { ...item, approval };
  return { ...item, state: "stopped", endedAt: at, approval };
}

/**
 * @param {string} key
 * @param {string} id
 * @param {number} at
 * @returns {ToolItem}
 */
function blankTool(key, id, at) {
  return {
    kind: "tool",
    key,
    id,
    toolkit: "",
    tool: "",
    namespace: "meshagent",
    args: {},
    argsText: "",
    log: [],
    logSize: 0,
    logCut: 0,
    result: null,
    error: null,
    state: "running",
    startedAt: at,
    endedAt: null,
    approval: null,
  };
}

/** @param {ToolItem} item @param {Body} m @returns {ToolItem} */
function named(item, m) {
  const args = m.arguments && Object.keys(m.arguments).length > 0 ? m.arguments : item.args;
  return {
    ...item,
    toolkit: m.toolkit || item.toolkit,
    tool: m.tool || item.tool,
    namespace: m.namespace || item.namespace,
    args,
  };
}

/**
 * A start for an item that waited for approval means that the approval was given.
 * @type {Rule}
 */
function started(item, m) {
  const next = { ...named(item, m), argsText: "" };
  return answered({ ...next, state: item.endedAt === null ? "running" : item.state }, "approved", null);
}

/** @type {Rule} */
function logged(item, m) {
  const decision = m.metadata?.process?.approval;
  if (decision) return decided(item, decision, (m.lines?.[0]?.text ?? "").trim());
  let { log, logSize, logCut } = item;
  log = [...log];
  for (const line of m.lines ?? []) {
    const source = line.source === "stderr" ? "stderr" : "stdout";
    const last = log.at(-1);
    if (last && last.source === source) log[log.length - 1] = { source, text: last.text + line.text };
    else log.push({ source, text: line.text });
    logSize += line.text.length;
  }
  while (logSize > LOG_LIMIT) {
    const surplus = logSize - LOG_LIMIT;
    const head = log[0];
    const cut = Math.min(surplus, head.text.length);
    if (cut === head.text.length) log.shift();
    else log[0] = { source: head.source, text: head.text.slice(cut) };
    logSize -= cut;
    logCut += cut;
  }
  return answered({ ...item, log, logSize, logCut }, "approved", null);
}

/** @type {Rule} */
function ended(item, m, at) {
  const error = m.error ? { message: m.error.message ?? "failed", code: m.error.code ?? "error" } : null;
  const next = named(item, m);
  const stopped = error !== null && STOPPED.has(error.code);
  const state = stopped ? "stopped" : error || failedResult(m.result) ? "failed" : "done";
  return answered(
    { ...next, result: m.result ?? null, error, state, endedAt: at },
    error ? "declined" : "approved",
    null,
  );
}

/** @type {Rule} */
function approvalAsked(item, m) {
  const own = m.metadata?.process ?? {};
  // A question may name less than the call it is about, like a folder instead of the whole patch.
  const args = { ...item.args, ...m.arguments };
  const approval = {
    ...NOT_ASKED,
    state: /** @type {const} */ ("asked"),
    reason: own.approval_reason ?? null,
    decisions: own.decisions ?? [],
    questions: (own.questions ?? []).map(question),
    number: own.number ?? 0,
    approvers: own.approvers ?? [],
  };
  return { ...named(item, m), args, approval };
}

/** @param {Body} q @returns {import("./types.js").Question} */
function question(q) {
  const options = (q.options ?? []).map((/** @type {Body} */ o) => ({
    label: o.label,
    description: o.description ?? "",
  }));
  return {
    id: q.id,
    header: q.header ?? "",
    text: q.text ?? "",
    options,
    free: q.free !== false,
    several: q.several === true,
    required: q.required !== false,
    kind: q.kind ?? "text",
  };
}

/**
 * The decision of a person or of a rule; a rule decides without asking.
 * @param {ToolItem} item
 * @param {Body} decision
 * @param {string} text
 * @returns {ToolItem}
 */
function decided(item, decision, text) {
  const asked = item.approval ?? NOT_ASKED;
  const state = decision.accepted === true ? /** @type {const} */ ("approved") : "declined";
  return { ...item, approval: { ...asked, state, by: decision.by ?? null, text } };
}

/**
 * @param {ToolItem} item
 * @param {"approved" | "declined"} state
 * @param {string | null} by
 * @returns {ToolItem}
 */
function answered(item, state, by) {
  const approval = item.approval;
  if (!approval) return item;
  const waits = approval.state === "asked" || approval.state === "answering";
  if (!waits && by === null) return item;
  return {
    ...item,
    approval: { ...approval, state: by !== null || waits ? state : approval.state, by: by ?? approval.by },
  };
}

/** @param {Body | null | undefined} result */
function failedResult(result) {
  if (result?.type === "error") return true;
  const code = result?.type === "json" ? result.json?.exit_code : undefined;
  return typeof code === "number" && code !== 0;
}

/** What an image is to show: told when it begins or when it is made. @param {Body} m @param {ImageItem} item */
function promptOf(m, item) {
  const prompt = m.arguments?.prompt;
  return typeof prompt === "string" && prompt ? prompt : item.prompt;
}
