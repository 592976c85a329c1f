/* What every page of the portal needs. Collecting the static files makes one file of it. */
import "./menus.js";
import "./nav.js";
import "./exact-times.js";

// Few visits need it.
for (const input of document.querySelectorAll("[data-people]")) {
    const attach = () => import(input.dataset.script).then((script) => script.attach(input));
    if (document.activeElement === input) attach();
    else input.addEventListener("focus", attach, { once: true });
}
