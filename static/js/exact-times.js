/* Remembers whether exact times are shown, so that the next page shows them too; and Escape takes away a shown instant. */

for (const input of document.querySelectorAll(".utc-switch")) {
    input.addEventListener("change", () => {
        const lifetime = input.checked ? 31536000 : 0;
        document.cookie = `utc=1; path=/; max-age=${lifetime}; samesite=lax`;
    });
}

document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && document.activeElement.matches(".ago")) document.activeElement.blur();
});
