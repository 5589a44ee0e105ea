/** Where the page begins. */

import { App } from "./app.js";
import { applyTheme } from "./view/theme.js";

applyTheme();
const root = document.getElementById("app");
if (root) void new App(root).start();
