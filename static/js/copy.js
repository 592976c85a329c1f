/* [Copy] copies a text to the clipboard and says so. Where the browser refuses, it selects the text instead. */

const status = document.querySelector("[data-copy-status]");

const selectText = (element) => {
    const selection = window.getSelection();
    selection.removeAllRanges();
    const range = document.createRange();
    range.selectNodeContents(element);
    selection.addRange(range);
};

const copyText = async (element) => {
    try {
        await navigator.clipboard.writeText(element.textContent.trim());
        return true;
    } catch {
        selectText(element);
        return document.execCommand("copy");
    }
};

for (const button of document.querySelectorAll("button[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
        const label = button.querySelector("[data-copy-label]");
        const isCopied = await copyText(document.getElementById(button.dataset.copy));
        status.textContent = isCopied ? button.dataset.copied : button.dataset.failed;
        if (!isCopied) return;
        const initialLabel = label.textContent;
        label.textContent = button.dataset.copied;
        setTimeout(() => (label.textContent = initialLabel), 2000);
    });
}

/* A dialog begins with its first [Copy] focused: not with [OK], which a key held down too long would press. */
document.querySelector("dialog button[data-copy]")?.focus();
