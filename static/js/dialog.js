/* Makes the dialog that is open in the page a modal one. data-dialog says what Escape does:
   "cancel" follows the link of [Cancel], "stay" keeps the dialog open and says why, until what it shows was copied. */

const dialog = document.querySelector("dialog[data-dialog]");

const handleEscape = () => {
    if (dialog.dataset.dialog === "cancel") {
        dialog.querySelector("[data-dialog-cancel]").click();
    } else if ("secretCopied" in dialog.dataset) {
        dialog.querySelector("[data-secret-leave]").click();
    } else {
        const reason = dialog.querySelector("[data-dialog-stays]");
        reason.hidden = false;
        reason.scrollIntoView({ block: "nearest" });
    }
};

if (dialog) {
    dialog.close();
    dialog.showModal();

    /* The key is handled too: browsers close a dialog at a second Escape without a "cancel" event. */
    dialog.addEventListener("keydown", (event) => {
        if (event.key !== "Escape") return;
        event.preventDefault();
        handleEscape();
    });
    dialog.addEventListener("cancel", (event) => {
        event.preventDefault();
        handleEscape();
    });
}
