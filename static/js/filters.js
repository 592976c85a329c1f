/* Choosing a filter with the pointer applies it. With the keyboard every arrow key is a choice, so there [Apply] or Enter does. */

for (const form of document.querySelectorAll("form[data-filters]")) {
    let usesPointer = false;
    form.addEventListener("pointerdown", () => (usesPointer = true));
    form.addEventListener("keydown", () => (usesPointer = false));

    form.addEventListener("change", (event) => {
        if (usesPointer && event.target instanceof HTMLSelectElement) form.requestSubmit();
    });

    /* Empty fields say nothing: keep them out of the address. */
    form.addEventListener("formdata", (event) => {
        for (const [name, value] of [...event.formData]) {
            if (value === "") event.formData.delete(name);
        }
    });
}
