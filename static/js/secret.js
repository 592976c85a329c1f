/* Wipes a secret when its page is left. Browsers keep pages in memory for Back, even those marked no-store, so it is
   wiped on leaving and again on coming back. */

const page = document.querySelector("[data-secret-page]");

const wipe = () => {
    for (const element of document.querySelectorAll("[data-secret]")) element.textContent = "";
};

window.addEventListener("pagehide", wipe);
window.addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    wipe();
    window.location.replace(page.dataset.secretPage);
});

/* Once the secret was copied, by a button or by hand, Escape may close its dialog. */
const markCopied = (event) => {
    if (!event.target.closest("[data-secret]")) return;
    page.dataset.secretCopied = "";
    const complaint = page.querySelector("[data-dialog-stays]");
    if (complaint) complaint.hidden = true;
};
document.addEventListener("copied", markCopied);
document.addEventListener("copy", () => {
    const selected = window.getSelection().anchorNode?.parentElement;
    if (selected) markCopied({ target: selected });
});

/* [OK] replaces this page in the browser's history, so that Back does not lead to it. */
page.querySelector("[data-secret-leave]").addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    wipe();
    window.location.replace(event.currentTarget.href);
});
