/* [Copy] puts a text on the clipboard, and says so. Where the browser refuses, it selects the text instead. */

const status = document.querySelector("[data-copy-status]");

const select = (element) => {
    const selection = window.getSelection();
    selection.removeAllRanges();
    const range = document.createRange();
    range.selectNodeContents(element);
    selection.addRange(range);
};

const copy = async (element) => {
    try {
        await navigator.clipboard.writeText(element.textContent.trim());
        return true;
    } catch {
        select(element);
        return document.execCommand("copy");
    }
};

for (const button of document.querySelectorAll("button[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
        const label = button.querySelector("[data-copy-label]");
        const isCopied = await copy(document.getElementById(button.dataset.copy));
        status.textContent = isCopied ? button.dataset.copied : button.dataset.failed;
        if (!isCopied) return;
        const words = label.textContent;
        label.textContent = button.dataset.copied;
        setTimeout(() => (label.textContent = words), 2000);
    });
}

/* In a dialog the first thing to do is to copy: not [OK], which a key pressed too long would press. */
document.querySelector("dialog button[data-copy]")?.focus();
