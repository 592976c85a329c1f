/* Turns sections below each other into tabs: one is shown, the arrow keys, Home and End lead to the others. */

for (const tabs of document.querySelectorAll("[data-tabs]")) {
    const list = tabs.querySelector("[role=tablist]");
    const buttons = [...list.querySelectorAll("[role=tab]")];
    const panels = [...tabs.querySelectorAll("[data-tab]")];

    const show = (chosen) => {
        for (const button of buttons) {
            button.setAttribute("aria-selected", String(button === chosen));
            button.tabIndex = button === chosen ? 0 : -1;
        }
        for (const panel of panels) panel.hidden = panel.dataset.tab !== chosen.id;
    };

    for (const panel of panels) {
        panel.setAttribute("role", "tabpanel");
        panel.setAttribute("aria-labelledby", panel.dataset.tab);
    }
    for (const button of buttons) button.addEventListener("click", () => show(button));

    list.addEventListener("keydown", (event) => {
        const forwards = getComputedStyle(list).direction === "rtl" ? "ArrowLeft" : "ArrowRight";
        const backwards = forwards === "ArrowRight" ? "ArrowLeft" : "ArrowRight";
        const place = buttons.indexOf(document.activeElement);
        const next = { [forwards]: place + 1, [backwards]: place - 1, Home: 0, End: -1 }[event.key];
        if (next === undefined) return;
        event.preventDefault();
        const chosen = buttons.at(next % buttons.length);
        show(chosen);
        chosen.focus();
    });

    list.hidden = false;
    tabs.classList.add("tabs--ready");
    show(buttons[0]);
}
