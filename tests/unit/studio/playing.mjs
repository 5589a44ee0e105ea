// A thread that messages are played into.
import { newThread, reduceThread } from "../../../process_agent/studio/static/model/thread.js";

export const T = "dataset://agents/bot/threads/1";
export const START = Date.parse("2026-01-01T10:00:00Z");
let clock = 0;
let counter = 0;

export function message(type, fields) {
  clock += 100;
  counter += 1;
  return {
    type: `meshagent.agent.${type}`,
    message_id: `e${counter}`,
    thread_id: T,
    created_at: new Date(START + clock).toISOString(),
    ...fields,
  };
}

export const play = (messages, thread = newThread(T)) =>
  messages.reduce((state, [type, fields]) => reduceThread(state, message(type, fields), START), thread);

export const content = [{ type: "text", text: "fix the test" }];
export const begin = [
  ["turn.start.accepted", { source_message_id: "M", turn_id: "U", content, sender_name: "ana" }],
  ["turn.started", { source_message_id: "M", turn_id: "U", content, sender_name: "ana" }],
];
export const tool = { turn_id: "U", item_id: "i1", namespace: "codex", toolkit: "codex", tool: "shell" };
