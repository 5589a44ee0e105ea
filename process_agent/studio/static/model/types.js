/**
 * The shapes the page works with. Everything here is plain data: reducers make it, views read it.
 *
 * @typedef {import("../wire/frames.js").Body} Body
 *
 * @typedef {{type: "text", text: string} | {type: "file", url: string, name?: string | null}} ContentPart
 *
 * Input that is not part of a turn yet.
 * @typedef {object} Pending
 * @property {string} id message id of the request
 * @property {"turn" | "steer"} kind
 * @property {ContentPart[]} content
 * @property {string | null} sender
 * @property {string | null} turnId
 * @property {"sending" | "queued" | "failed"} state
 * @property {string | null} error
 * @property {boolean} mine sent from this page
 *
 * @typedef {{kind: "user", key: string, id: string, content: ContentPart[], sender: string | null, steer: boolean, at: number}} UserItem
 * @typedef {{kind: "text", key: string, id: string, text: string, phase: string | null, done: boolean, at: number}} TextItem
 * @typedef {{kind: "reasoning", key: string, id: string, text: string, done: boolean, startedAt: number, endedAt: number | null}} ReasoningItem
 * @typedef {{kind: "media", key: string, id: string, url: string, done: boolean}} MediaItem
 * @typedef {{uri: string, mime_type?: string, width?: number, height?: number}} Picture
 * @typedef {{kind: "image", key: string, id: string, images: Picture[], prompt: string, partial: Picture | null, state: "running" | "done" | "failed" | "stopped", error: string}} ImageItem
 * @typedef {{kind: "notice", key: string, id: string, level: "info" | "error", text: string, detail: string, compaction: boolean}} NoticeItem
 *
 * @typedef {{label: string, description: string}} Option
 * @typedef {{id: string, header: string, text: string, options: Option[], free: boolean, several: boolean, required: boolean, kind: string}} Question
 *
 * @typedef {{decision: string, answers?: Record<string, string[]>}} Decided
 *
 * @typedef {object} Approval
 * @property {"asked" | "answering" | "approved" | "declined" | "lapsed"} state
 * @property {string | null} reason
 * @property {string | null} by
 * @property {string} text how it was decided, in the agent's words
 * @property {string[]} decisions what can be decided; empty where only yes or no is known
 * @property {Question[]} questions what is asked, where it is not whether something may be done
 * @property {number} number what `/approve` takes; 0 where nobody says
 * @property {string[]} approvers who may decide: `user`, `role:NAME` or names; empty where nobody says
 *
 * @typedef {object} ToolItem
 * @property {"tool"} kind
 * @property {string} key
 * @property {string} id
 * @property {string} toolkit
 * @property {string} tool
 * @property {string} namespace
 * @property {Body} args
 * @property {string} argsText arguments while they stream in
 * @property {LogPiece[]} log
 * @property {number} logSize characters in `log`
 * @property {number} logCut characters dropped from the beginning
 * @property {Body | null} result
 * @property {{message: string, code: string} | null} error
 * @property {"running" | "done" | "failed" | "stopped"} state
 * @property {number} startedAt
 * @property {number | null} endedAt
 * @property {Approval | null} approval
 *
 * @typedef {{source: "stdout" | "stderr", text: string}} LogPiece
 * @typedef {UserItem | TextItem | ReasoningItem | ToolItem | MediaItem | ImageItem | NoticeItem} Item
 *
 * @typedef {object} Turn
 * @property {string} id
 * @property {Item[]} items
 * @property {"running" | "ended"} state
 * @property {"completed" | "interrupted" | "failed" | "lost" | null} outcome
 * @property {boolean} stopping an interrupt was accepted
 * @property {{message: string, code: string} | null} error
 * @property {number} startedAt milliseconds
 * @property {number | null} endedAt
 * @property {{input: number, output: number} | null} usage tokens
 * @property {number | null} cost US dollars
 *
 * @typedef {{text: string, steerable: boolean, turnId: string | null, startedAt: number | null, itemId: string | null}} Status
 * @typedef {{backend: string | null, provider: string | null, model: string | null}} Choice
 *
 * A secret that a turn waits for; `login` is where its code comes from, null for a key or a password.
 * @typedef {{id: string, turnId: string, name: string, prompt: string, login: string | null, redirect: string | null}} AskedSecret
 *
 * @typedef {object} Thread
 * @property {string} path
 * @property {boolean} loading
 * @property {Thread | null} previous what to show while the thread is loaded again
 * @property {Turn[]} turns
 * @property {Pending[]} pending
 * @property {Status | null} status
 * @property {{used: number, total: number | null, compactsAt: number | null} | null} context tokens
 * @property {Choice | null} model
 * @property {AskedSecret[]} secrets what the agent asks the user of this page for
 * @property {string | null} older where the turns before those shown begin; null when there are none
 * @property {{id: string, until: number, thread: Thread} | null} olderPage a page of those that is on its way
 * @property {boolean} late the agent gave no answer to the wish to open it
 *
 * @typedef {{path: string, name: string, created_at: string, modified_at: string}} ThreadEntry
 * @typedef {{id: string, role: string, name: string, online: boolean, attributes: Body}} Member
 * @typedef {{id: string, level: "info" | "error", text: string}} Notice
 *
 * @typedef {object} State
 * @property {"loading" | "open" | "signed-out" | "unreachable"} gate
 * @property {{room: string, name: string} | null} session
 * @property {{phase: "connecting" | "online" | "waiting" | "ended", retryAt: number | null, reason: string, wasOnline: boolean}} connection
 * @property {{id: string, name: string} | null} self
 * @property {Member[]} members
 * @property {string | null} agent name of the agent talked to
 * @property {string | null} wanted path of the thread the address asks for
 * @property {{loaded: boolean, entries: ThreadEntry[], total: number}} threads
 * @property {Thread | null} thread
 * @property {Pending | null} starting first message of a thread that does not exist yet
 * @property {{loaded: boolean, providers: Body[]}} models
 * @property {Choice | null} choice picked by the user
 * @property {Notice[]} notices
 */

/**
 * What views can ask for; `app.js` does it.
 * @typedef {object} Actions
 * @property {() => void} newThread
 * @property {(path: string) => void} openThread
 * @property {(path: string, name: string) => void} rename
 * @property {(path: string) => void} remove
 * @property {(content: ContentPart[], queue: boolean) => void} send
 * @property {(path: string, file: File, told: (share: number) => void, signal: AbortSignal) => Promise<void>} upload
 * @property {(path: string) => void} discard
 * @property {(paths: string[]) => void} abandon
 * @property {(text: string) => void} suggest
 * @property {(entry: Pending) => void} resend
 * @property {(entry: Pending) => void} drop
 * @property {() => void} stop
 * @property {(path: string) => void} clear
 * @property {() => void} moreThreads
 * @property {() => void} olderTurns
 * @property {() => void} openAgain
 * @property {import("../view/picture.js").FindFile} findFile
 * @property {(asked: AskedSecret, value: string | null) => void} answerSecret
 * @property {(turnId: string, itemId: string, decided: Decided) => void} decide
 * @property {(choice: Choice) => void} pickModel
 * @property {(name: string) => void} chooseAgent
 * @property {() => void} showUsage
 * @property {() => void} retryNow
 * @property {(id: string) => void} dismiss
 */

export {};
