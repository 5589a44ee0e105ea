/** Line icons on a 16 pixel grid. */

const SVG = "http://www.w3.org/2000/svg";

/** @type {Record<string, string>} */
const PATHS = {
  plus: "M8 3.25v9.5M3.25 8h9.5",
  send: "M8 13V3.5M3.75 7.5 8 3.25l4.25 4.25",
  stop: "M4.75 4.75h6.5v6.5h-6.5z",
  chevron: "m6 4 4 4-4 4",
  down: "m4 6 4 4 4-4",
  arrowDown: "M8 3v10M3.75 8.75 8 13l4.25-4.25",
  check: "m3.5 8.5 3 3 6-7",
  cross: "m4.25 4.25 7.5 7.5M11.75 4.25l-7.5 7.5",
  copy: "M5.75 5.75v-2a1 1 0 0 1 1-1h5.5a1 1 0 0 1 1 1v5.5a1 1 0 0 1-1 1h-2M3.75 5.75h5.5a1 1 0 0 1 1 1v5.5a1 1 0 0 1-1 1h-5.5a1 1 0 0 1-1-1v-5.5a1 1 0 0 1 1-1z",
  dots: "M3.5 8h.01M8 8h.01M12.5 8h.01",
  pencil: "m10.5 3.25 2.25 2.25-7 7-2.75.5.5-2.75zM9 4.75 11.25 7",
  trash: "M3.25 4.75h9.5M6.25 4.75v-1.5h3.5v1.5M4.5 4.75l.5 8h6l.5-8M6.75 7.25v3M9.25 7.25v3",
  menu: "M2.75 4.5h10.5M2.75 8h10.5M2.75 11.5h10.5",
  sun: "M8 5.25a2.75 2.75 0 1 1 0 5.5 2.75 2.75 0 0 1 0-5.5M8 1.75v1M8 13.25v1M1.75 8h1M13.25 8h1M3.6 3.6l.7.7M11.7 11.7l.7.7M3.6 12.4l.7-.7M11.7 4.3l.7-.7",
  moon: "M13 9.25A5.25 5.25 0 0 1 6.75 3a5.25 5.25 0 1 0 6.25 6.25z",
  auto: "M8 2.25a5.75 5.75 0 1 1 0 11.5 5.75 5.75 0 0 1 0-11.5zM8 2.25v11.5M8 4.5h3.6M8 8h5.7M8 11.5h3.6",
  terminal: "m3.25 4.5 3.5 3.5-3.5 3.5M8.25 11.5h4.5",
  edit: "M9.25 2.75h-5a1 1 0 0 0-1 1v8.5a1 1 0 0 0 1 1h7.5a1 1 0 0 0 1-1v-6zM9.25 2.75v3.5h3.5M6 9.25h4M8 7.25v4",
  search: "M7 3a4 4 0 1 1 0 8 4 4 0 0 1 0-8zM10 10l3.25 3.25",
  tool: "M9.5 2.75a3.25 3.25 0 0 0-3 4.5l-3.6 3.6a1.2 1.2 0 0 0 0 1.7l.55.55a1.2 1.2 0 0 0 1.7 0l3.6-3.6a3.25 3.25 0 0 0 4.25-4.25L11 7.25 8.75 5 11 3a3 3 0 0 0-1.5-.25z",
  thought: "M8 2.75a4 4 0 0 0-2.25 7.3c.4.3.6.7.6 1.2h3.3c0-.5.2-.9.6-1.2A4 4 0 0 0 8 2.75zM6.75 13.25h2.5",
  plan: "m2.75 4.25 1 1 1.75-2M2.75 8.5l1 1 1.75-2M8 4.5h5.25M8 8.75h5.25M8 12.5h5.25M3 12.5h1.5",
  diff: "M8 3.25v5M5.5 5.75h5M5.5 11.75h5",
  alert: "M8 2.75 14 13H2zM8 6.5v3M8 11.25h.01",
  shield: "M8 2.25 13 4v4c0 3-2.2 4.9-5 5.75C5.2 12.9 3 11 3 8V4z",
  folder: "M2.75 4.25a1 1 0 0 1 1-1h2.75l1.5 1.75h4.25a1 1 0 0 1 1 1v5.75a1 1 0 0 1-1 1h-8.5a1 1 0 0 1-1-1z",
  info: "M8 2.25a5.75 5.75 0 1 1 0 11.5 5.75 5.75 0 0 1 0-11.5zM8 7.25v3.5M8 5.25h.01",
  key: "M10.25 2.75a3 3 0 1 1-2.6 4.5L3 11.9v1.35h2v-1.5h1.5V10.5l1.2-1.2M11.25 5h.01",
  image: "M3.75 3.25h8.5a1 1 0 0 1 1 1v7.5a1 1 0 0 1-1 1h-8.5a1 1 0 0 1-1-1v-7.5a1 1 0 0 1 1-1zM3 11l3-3 2.25 2.25L10 8.5l3 3M10.25 5.75h.01",
  clip: "m12.75 7.5-4.9 4.9a2.9 2.9 0 0 1-4.1-4.1l5.2-5.2a1.95 1.95 0 0 1 2.75 2.75l-5.2 5.2a1 1 0 0 1-1.4-1.4l4.65-4.65",
  file: "M4.25 2.75h4.5l3 3v6.5a1 1 0 0 1-1 1h-6.5a1 1 0 0 1-1-1v-8.5a1 1 0 0 1 1-1zM8.75 2.75v3h3",
  eraser: "m9.5 3.25 3.25 3.25-6 6h-2.5l-2-2zM5.75 7 9 10.25M8 12.75h5",
  retry: "M13 8a5 5 0 1 1-1.6-3.65M13 2.75v2.5h-2.5",
};

/** @param {string} name @returns {SVGElement} decorative: the control around it carries the label */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}
