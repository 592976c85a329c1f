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

    /* Empty fields are left out of the address. Where a token was pasted, with whatever stood around it, its id stays,
       and an ellipsis of a secret alone: the next page says so. */
    form.addEventListener("formdata", (event) => {
        for (const [name, value] of [...event.formData]) {
            const token = value.match(/(?<!\d)([1-9]\d{0,18})(?:[$_]|%(?:25)*(?:24|5f))[0-9a-f]{16,}|[0-9a-f]{72}/i);
            if (value === "") event.formData.delete(name);
            else if (token) {
                event.formData.set(name, token[1] ?? "…");
                const left = token[1] ? 1 : "alone";
                document.cookie = `secret-removed=${left}; max-age=30; samesite=lax; path=${location.pathname}`;
            }
        }
    });
}
