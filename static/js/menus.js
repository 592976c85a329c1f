/* Closes an open menu at a click elsewhere, when the focus leaves it, and at Escape. */

const openMenus = () => document.querySelectorAll("details[data-menu][open]");

const closeOthers = (event) => {
    for (const menu of openMenus()) {
        if (!menu.contains(event.target)) menu.open = false;
    }
};

/* Where a menu would end below the window, it opens upwards. */
const turn = ({ target: menu }) => {
    menu.classList.remove("menu--up");
    if (!menu.open) return;
    const panel = menu.querySelector(".menu__panel");
    if (panel?.getBoundingClientRect().bottom > innerHeight) menu.classList.add("menu--up");
};

document.addEventListener("toggle", turn, true);
document.addEventListener("click", closeOthers);
document.addEventListener("focusin", closeOthers);

document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of openMenus()) {
        menu.open = false;
        menu.querySelector("summary").focus();
    }
});
