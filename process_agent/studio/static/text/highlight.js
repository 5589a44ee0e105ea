/** A small highlighter: words that most languages share, told apart by family. Pure. */

/** @typedef {{text: string, kind: "" | "comment" | "string" | "number" | "keyword" | "name" | "meta"}} Token */

/** Longer code is shown plain: colour is not worth a slow page. */
const SIZE_LIMIT = 60_000;

const WORDS = {
  c: "abstract as async await break case catch class const continue def default defer delete do else enum export extends extern false final finally fn for from func function go if impl implements import in interface internal is let loop match mod module mut namespace new nil null override package private protected pub public return self static struct super switch this throw throws trait true try type typeof undefined union unsafe use using val var void volatile where while yield",
  py: "and as assert async await break case class continue def del elif else except False finally for from global if import in is lambda match None nonlocal not or pass raise return self True try type while with yield",
  sh: "case do done elif else esac export fi for function if in local readonly return set then unset until while",
  sql: "add all alter and as asc between by case create delete desc distinct drop else end exists from group having if in inner insert into is join key left like limit not null on or order outer primary references right select set table then union unique update values view when where with",
};

/** @type {Record<string, {words: Set<string>, rules: RegExp}>} */
const FAMILIES = {
  c: family(WORDS.c, [String.raw`\/\/[^\n]*|\/\*[^]*?(?:\*\/|$)`], "`(?:\\\\.|[^`\\\\])*(?:`|$)|"),
  py: family(WORDS.py, ["#[^\\n]*"], String.raw`"""[^]*?(?:"""|$)|'''[^]*?(?:'''|$)|`),
  sh: family(WORDS.sh, [String.raw`(?<=^|\s)#[^\n]*`], ""),
  sql: family(WORDS.sql, [String.raw`--[^\n]*|\/\*[^]*?(?:\*\/|$)`], ""),
  data: family("true false null yes no on off", [String.raw`(?<=^|\s)#[^\n]*|\/\/[^\n]*`], ""),
  markup: {
    words: new Set(),
    rules:
      /(?<comment><!--[^]*?(?:-->|$))|(?<string>"[^"\n]*"|'[^'\n]*')|(?<keyword><\/?[\w:-]+|\/?>)|(?<name>[\w:-]+(?==))/g,
  },
};

/** @type {Record<string, string>} */
const LANGUAGES = Object.fromEntries(
  Object.entries({
    c: "js jsx ts tsx mjs javascript typescript java c h cpp cc hpp c++ cs csharp go golang rust rs swift kotlin kt scala dart php zig",
    py: "py python python3 rb ruby starlark",
    sh: "sh bash zsh shell console shell-session dockerfile makefile make",
    sql: "sql",
    data: "json jsonc json5 yaml yml toml ini",
    markup: "html xml svg vue xhtml",
  }).flatMap(([name, list]) => list.split(" ").map((language) => [language, name])),
);

/**
 * The code cut into tokens; joined they are the code again.
 * @param {string} code
 * @param {string} language as the fence names it
 * @returns {Token[]}
 */
export function highlight(code, language) {
  const known = FAMILIES[LANGUAGES[language.toLowerCase()] ?? ""];
  if (!known || code.length > SIZE_LIMIT) return [{ text: code, kind: "" }];
  const ignoreCase = known === FAMILIES.sql;
  /** @type {Token[]} */
  const tokens = [];
  let from = 0;
  for (const match of code.matchAll(known.rules)) {
    if (match.index > from) tokens.push({ text: code.slice(from, match.index), kind: "" });
    tokens.push({ text: match[0], kind: kindOf(match, known.words, ignoreCase) });
    from = match.index + match[0].length;
  }
  if (from < code.length) tokens.push({ text: code.slice(from), kind: "" });
  return tokens;
}

/** @param {RegExpMatchArray} match @param {Set<string>} words @param {boolean} ignoreCase @returns {Token["kind"]} */
function kindOf(match, words, ignoreCase) {
  const groups = match.groups ?? {};
  const word = ignoreCase ? match[0].toLowerCase() : match[0];
  if ((groups.word ?? groups.name) !== undefined && words.has(word)) return "keyword";
  for (const kind of /** @type {const} */ (["comment", "string", "number", "keyword", "name", "meta"])) {
    if (groups[kind] !== undefined) return kind;
  }
  return "";
}

/** @param {string} words @param {string[]} comments @param {string} strings */
function family(words, comments, strings) {
  const string = `${strings}"(?:\\\\.|[^"\\\\\\n])*(?:"|$)|'(?:\\\\.|[^'\\\\\\n])*(?:'|$)`;
  const source =
    `(?<comment>${comments.join("|")})|(?<string>${string})|(?<meta>@[\\w.]+)|` +
    `(?<number>\\b\\d[\\w.]*\\b)|(?<name>\\b[A-Za-z_]\\w*(?=\\())|(?<word>\\b[A-Za-z_]\\w*\\b)`;
  return { words: new Set(words.split(" ")), rules: new RegExp(source, "gm") };
}
