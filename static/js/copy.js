/* [Copy] copies a text to the clipboard and says so: that of the element whose id is data-copy, or data-copy-text. Where
   the browser refuses, it selects the text instead. */

const findStatus = () => {
    const known = document.querySelector("[data-copy-status]");
    if (known) return known;
    const made = document.createElement("p");
    made.className = "visually-hidden";
    made.setAttribute("role", "status");
    document.body.append(made);
    return made;
};

const status = findStatus();

const selectText = (element) => {
    const selection = window.getSelection();
    selection.removeAllRanges();
    const range = document.createRange();
    range.selectNodeContents(element);
    selection.addRange(range);
};

const copyText = async (text, element) => {
    try {
        await navigator.clipboard.writeText(text);
        return true;
    } catch {
        if (!element) return false;
        selectText(element);
        return document.execCommand("copy");
    }
};

for (const button of document.querySelectorAll("button[data-copy], button[data-copy-text]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
        const label = button.querySelector("[data-copy-label]");
        const element = document.getElementById(button.dataset.copy);
        const isCopied = await copyText(button.dataset.copyText ?? element.textContent.trim(), element);
        status.textContent = isCopied ? button.dataset.copied : button.dataset.failed;
        if (!isCopied) return;
        element?.dispatchEvent(new CustomEvent("copied", { bubbles: true }));
        const initialLabel = label.textContent;
        label.textContent = button.dataset.copied;
        setTimeout(() => (label.textContent = initialLabel), 2000);
    });
}

/* A dialog begins with its first [Copy] focused: not with [OK], which a key held down too long would press. */
document.querySelector("dialog button[data-copy]")?.focus();
