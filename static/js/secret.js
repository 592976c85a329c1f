/* A secret leaves the page with its reader. Browsers keep left pages alive for Back, even those marked
   no-store, so it is wiped on the way out and once more on the way in. */

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

/* [OK] takes the place of this page in the browser's history, so that Back does not lead to it. */
page.querySelector("[data-secret-leave]").addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    wipe();
    window.location.replace(page.dataset.secretPage);
});
