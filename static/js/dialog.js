/* A dialog that stands open in the page becomes a modal one. Escape means what data-dialog says:
   "cancel" follows the link of [Cancel], "stay" keeps the dialog and says why. */

const dialog = document.querySelector("dialog[data-dialog]");

const leave = () => {
    if (dialog.dataset.dialog === "cancel") {
        dialog.querySelector("[data-dialog-cancel]").click();
    } else {
        dialog.querySelector("[data-dialog-stays]").hidden = false;
    }
};

if (dialog) {
    dialog.close();
    dialog.showModal();

    /* Caught as a key as well: browsers let a second Escape close a dialog without asking. */
    dialog.addEventListener("keydown", (event) => {
        if (event.key !== "Escape") return;
        event.preventDefault();
        leave();
    });
    dialog.addEventListener("cancel", (event) => {
        event.preventDefault();
        leave();
    });
}
