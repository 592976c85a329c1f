/* Applies a filter as soon as it is chosen with the pointer. On the keyboard each arrow key would be a choice, so there
   [Apply] or Enter applies it. */

for (const form of document.querySelectorAll("form[data-filters]")) {
    let usesPointer = false;
    form.addEventListener("pointerdown", () => (usesPointer = true));
    form.addEventListener("keydown", (event) => {
        usesPointer = false;
        // Browsers send a form at Enter in a text field, but not in a closed select.
        if (event.key === "Enter" && event.target instanceof HTMLSelectElement) {
            event.preventDefault();
            form.requestSubmit();
        }
    });

    form.addEventListener("change", (event) => {
        if (usesPointer && event.target instanceof HTMLSelectElement) form.requestSubmit();
    });

    // Few visits need it.
    for (const input of form.querySelectorAll("[data-people]")) {
        const attach = () => import(input.dataset.script).then((script) => script.attach(input));
        input.addEventListener("focus", attach, { once: true });
    }

    /* Empty fields are left out of the address, and of a token that was pasted all but its id: the next page says so. */
    form.addEventListener("formdata", (event) => {
        for (const [name, value] of [...event.formData]) {
            const shown = value.replace(/\b([1-9]\d{0,18})(?:[$_]|%24)[0-9a-f]{16,}|\b[0-9a-f]{72}\b/gi, "$1");
            if (value === "") event.formData.delete(name);
            else if (shown !== value) {
                event.formData.set(name, shown);
                document.cookie = `secret-removed=1; max-age=30; samesite=lax; path=${location.pathname}`;
            }
        }
    });
}
