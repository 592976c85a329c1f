/* Lets a form be sent only once. Coming back by the browser's Back makes it usable again. */

for (const form of document.querySelectorAll("form[data-submit-once]")) {
    const setBusy = (busy) => {
        for (const button of form.querySelectorAll("button")) button.disabled = busy;
        form.toggleAttribute("aria-busy", busy);
    };
    form.addEventListener("submit", (event) => {
        // A button with a name only fills the form; disabled, it would not be sent.
        if (!event.submitter?.name) setBusy(true);
    });
    window.addEventListener("pageshow", () => setBusy(false));
}
