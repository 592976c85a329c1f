/* Closes an open menu at a click elsewhere, when the focus leaves it, and at Escape. */

const openMenus = () => document.querySelectorAll("details[data-menu][open]");

const closeOthers = (event) => {
    for (const menu of openMenus()) {
        if (!menu.contains(event.target)) menu.open = false;
    }
};

/* Where a menu would end below the window, it opens upwards. */
document.addEventListener(
    "toggle",
    ({ target }) => {
        if (!target.matches?.("details[data-menu]")) return;
        target.classList.remove("menu--up");
        const panel = target.open && target.querySelector(".menu__panel");
        const height = panel ? panel.getBoundingClientRect().height : 0;
        const { top, bottom } = target.getBoundingClientRect();
        target.classList.toggle("menu--up", bottom + height > innerHeight && top > height);
    },
    true,
);

document.addEventListener("click", closeOthers);
document.addEventListener("focusin", closeOthers);

document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of openMenus()) {
        menu.open = false;
        menu.querySelector("summary").focus();
    }
});
