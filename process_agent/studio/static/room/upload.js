/** A file on its way into the room's storage (room protocol, section 11): the room pulls one piece after another. */

/** @typedef {import("./connection.js").Connection} Connection */

/** Bytes of one piece, unless the room says how many it wants. */
const PIECE = 64 * 1024;
const MOST = 1024 * 1024;

/**
 * Resolves once the room has all of it.
 * @param {Connection} connection
 * @param {string} path
 * @param {File} file
 * @param {(share: number) => void} told
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
export function upload(connection, path, file, told, signal) {
  const start = {
    kind: "start",
    path,
    overwrite: false,
    name: file.name,
    mime_type: file.type || null,
    size: file.size,
  };
  return new Promise((resolve, reject) => {
    /** @type {Awaited<ReturnType<Connection["openStream"]>> | null} */
    let line = null;
    let sent = 0;
    let over = false;
    const finish = (/** @type {Error | null} */ error) => {
      if (over) return;
      over = true;
      signal.removeEventListener("abort", stop);
      if (error) reject(error);
      else resolve();
    };
    const stop = () => {
      line?.close();
      finish(signal.reason);
    };
    const pulled = async (/** @type {unknown} */ wanted) => {
      const size = typeof wanted === "number" && wanted > 0 ? Math.min(wanted, MOST) : PIECE;
      // A file that was changed or deleted since it was chosen cannot be read any more.
      const bytes = new Uint8Array(await file.slice(sent, sent + size).arrayBuffer());
      if (over || !line) return;
      if (bytes.length === 0) line.end();
      else line.send({ type: "binary", headers: { kind: "data" } }, bytes);
      sent += bytes.length;
      told(file.size === 0 ? 1 : sent / file.size);
    };
    const failed = (/** @type {unknown} */ error) => {
      line?.close();
      finish(error instanceof Error ? error : new Error(String(error)));
    };
    signal.addEventListener("abort", stop);
    connection
      .openStream(
        "storage",
        "upload",
        { type: "binary", headers: start },
        {
          chunk: (head) => {
            if (head.kind === "pull") pulled(head.chunk_size).catch(failed);
          },
          closed: (error) => finish(error ?? (sent === file.size ? null : new Error("the room took only a part of it"))),
        },
      )
      .then((opened) => {
        line = opened;
        if (over) opened.close();
      }, finish);
  });
}
