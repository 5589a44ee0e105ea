/** What an empty thread shows: a greeting with first ideas, or what is missing. */

import { agents, cautionOf, currentAgent, currentModel } from "../model/select.js";
import { copyButton } from "./code.js";
import { h } from "./dom.js";

/** @typedef {import("../model/types.js").State} State */

const IDEAS = [
  ["Explain this workspace", "Look around the workspace and explain what is in it and how it is built."],
  ["Run the tests", "Run the tests of this project. If some fail, explain why before you change anything."],
  ["Create a file", "Create hello.txt with a friendly greeting and show me its content."],
];
const SCRIPTED_IDEAS = [["Show me what you can do", "demo"], ...IDEAS.slice(2)];

/** @param {HTMLElement} el @param {State} state @param {import("../model/types.js").Actions} actions */
export function startScreen(el, state, actions) {
  const scene = sceneOf(state);
  if (el.dataset.scene === scene.key) return;
  el.dataset.scene = scene.key;
  el.replaceChildren(...scene.draw(actions));
}

/**
 * @param {State} state
 * @returns {{key: string, draw: (actions: import("../model/types.js").Actions) => Node[]}}
 */
function sceneOf(state) {
  if (state.thread?.late) return { key: "late", draw: () => [] };
  if (state.thread?.loading) return { key: "loading", draw: () => [skeleton()] };
  if (state.connection.phase !== "online") return { key: "connecting", draw: () => [] };
  const agent = currentAgent(state);
  if (!agent)
    return agents(state).length > 0
      ? { key: "away", draw: away }
      : noAgent(state.session?.room ?? "gettingstarted");
  if (state.thread)
    return {
      key: "empty",
      draw: () => [h("p", { class: "start-note" }, "Nothing has been said in this thread.")],
    };
  const scripted = currentModel(state)?.scripted ?? false;
  const title = agent.attributes.empty_state_title || "How can I help you?";
  const caution = cautionOf(state);
  return {
    key: `start ${agent.name} ${title} ${scripted} ${caution}`,
    draw: (actions) => [
      h("h2", {}, title),
      h(
        "p",
        { class: "start-note" },
        scripted
          ? `${agent.name} answers with the scripted model: no account, no network, real commands.`
          : `You are talking to ${agent.name}.`,
      ),
      ...(caution ? [h("p", { class: "start-caution", role: "note" }, caution)] : []),
      h(
        "div",
        { class: "ideas" },
        ...(scripted ? SCRIPTED_IDEAS : IDEAS).map(([label, text]) => idea(label, text, actions)),
      ),
    ],
  };
}

/** @param {string} label @param {string} text @param {import("../model/types.js").Actions} actions */
function idea(label, text, actions) {
  return h(
    "button",
    { type: "button", class: "idea", on: { click: () => actions.suggest(text) } },
    h("strong", {}, label),
    h("span", {}, text === "demo" ? "A short tour: a command, an edit, a plan." : text),
  );
}

function away() {
  return [
    h("h2", {}, "The agent is away"),
    h("p", { class: "start-note" }, "It left the room. This page notices when it comes back."),
  ];
}

/** @param {string} room */
function noAgent(room) {
  const command = `process join --room ${room} --agent-name codex-agent --channel chat --backend codex`;
  const draw = () => [
    h("h2", {}, "No agent in this room yet"),
    h("p", { class: "start-note" }, "Start one in a terminal. It appears here as soon as it joined."),
    h(
      "div",
      { class: "command-box" },
      h("code", {}, command),
      copyButton("Copy command", () => command),
    ),
  ];
  return { key: "nobody", draw };
}

function skeleton() {
  const lines = ["w40", "w90", "w75", "w60"].map((width) => h("div", { class: `bone ${width}` }));
  return h("div", { class: "skeleton", role: "status", "aria-label": "Loading the thread" }, ...lines);
}
