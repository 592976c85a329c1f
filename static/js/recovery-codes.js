/* [Download] saves the recovery codes as a text file, made by the browser: they are sent once. [Print] prints the page. */

for (const button of document.querySelectorAll("button[data-save]")) {
    button.hidden = false;
    button.addEventListener("click", () => {
        const codes = document.getElementById(button.dataset.save).textContent.trim();
        const file = new Blob([`${button.dataset.saveTitle}\n\n${codes}\n`], { type: "text/plain" });
        const link = document.createElement("a");
        link.href = URL.createObjectURL(file);
        link.download = button.dataset.saveAs;
        link.click();
        URL.revokeObjectURL(link.href);
    });
}

for (const button of document.querySelectorAll("button[data-print]")) {
    button.hidden = false;
    button.addEventListener("click", () => window.print());
}
