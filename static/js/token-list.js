/* What the list of tokens needs besides. Collecting the static files makes one file of it. */
import "./filters.js";
import "./selection.js";

/* [Copy ID] waits in the menus of the rows: its script comes when the first of them is opened. */
const table = document.querySelector(".tokens");
table?.addEventListener("toggle", () => import(table.dataset.copy), { capture: true, once: true });
