// Runs the npm client for a test: JSON lines in, JSON lines out, as driver.py does for the Python one.
// The folder with its node_modules is the only argument.
"use strict";
const { createRequire } = require("node:module");
const path = require("node:path");
const readline = require("node:readline");

const from = createRequire(path.join(process.argv[2], "package.json"));
const { RoomClient, WebSocketClientProtocol } = from("@meshagent/meshagent");

console.log = console.error; // what a library prints must not get between our lines
const tell = (message) => process.stdout.write(JSON.stringify(message) + "\n");
const clients = new Map();
// A room that is left before its websocket was open throws out of reach of the one who left it.
process.on("uncaughtException", (error) => console.error(error));

const agentOtherThan = (room, name, id) =>
  new Promise((resolve) => {
    const look = () => {
      const found = room.messaging.getParticipantByName(name);
      if (found && found.id !== id) resolve(found.id);
    };
    for (const event of ["participant_added", "messaging_enabled"]) room.messaging.on(event, look);
    look();
  });

const plain = (value) => {
  if (typeof value === "bigint") return Number(value);
  if (value instanceof Date) return value.toISOString();
  return value === undefined ? null : value;
};

const commands = {
  async join({ client, url, token, agent }) {
    const room = new RoomClient({
      protocolFactory: WebSocketClientProtocol.createFactory({ url, token }),
    });
    await room.start();
    room.messaging.on("message", ({ message }) => {
      if (message.type === "agent-message") tell({ client, event: message.message, problem: null });
    });
    await room.messaging.enable();
    clients.set(client, { room, agent, id: await agentOtherThan(room, agent, null) });
  },
  /** Wait until the agent is in the room under another id than before. */
  async rejoined({ client }) {
    const known = clients.get(client);
    known.id = await agentOtherThan(known.room, known.agent, known.id);
  },
  async leave({ client }) {
    clients.get(client).room.dispose();
    clients.delete(client);
  },
  async send({ client, body, wrapped }) {
    const { room, agent } = clients.get(client);
    await room.messaging.sendMessage({
      to: room.messaging.getParticipantByName(agent),
      type: "agent-message",
      message: wrapped ? { payload: body } : body,
    });
    return body.message_id;
  },
  async attributes({ client, names }) {
    const { room, agent } = clients.get(client);
    const found = room.messaging.getParticipantByName(agent);
    return Object.fromEntries(names.map((name) => [name, plain(found.getAttribute(name))]));
  },
  async rows({ client, table, namespace, select }) {
    const tables = await clients.get(client).room.datasets.search({ table, namespace, select });
    return tables.flatMap((part) =>
      part.toArray().map((row) => Object.fromEntries(select.map((name) => [name, plain(row[name])]))),
    );
  },
};

readline.createInterface({ input: process.stdin }).on("line", async (line) => {
  const { id, do: name, ...fields } = JSON.parse(line);
  try {
    tell({ id, value: plain(await commands[name](fields)) });
  } catch (error) {
    tell({ id, error: String(error && error.stack ? error.stack : error), code: (error && error.code) ?? null });
  }
}).on("close", () => process.exit(0));
tell({ ready: true });
