/* Applies a filter as soon as it is chosen with the pointer. On the keyboard each arrow key would be a choice, so there
   [Apply] or Enter applies it. */

for (const form of document.querySelectorAll("form[data-filters]")) {
    let usesPointer = false;
    form.addEventListener("pointerdown", () => (usesPointer = true));
    form.addEventListener("keydown", () => (usesPointer = false));

    form.addEventListener("change", (event) => {
        if (usesPointer && event.target instanceof HTMLSelectElement) form.requestSubmit();
    });

    /* Empty fields are left out of the address. */
    form.addEventListener("formdata", (event) => {
        for (const [name, value] of [...event.formData]) {
            if (value === "") event.formData.delete(name);
        }
    });
}
