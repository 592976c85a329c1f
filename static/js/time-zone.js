/* New users read times in the time zone of their browser. In My profile a button chooses it. */

const ownZone = Intl.DateTimeFormat().resolvedOptions().timeZone || "";

for (const field of document.querySelectorAll("input[data-time-zone]")) field.value = ownZone;

for (const button of document.querySelectorAll("button[data-own-time-zone]")) {
    const select = document.getElementById(button.dataset.ownTimeZone);
    button.hidden = ownZone === "";
    button.addEventListener("click", () => {
        select.value = ownZone;
        /* Some browsers call a zone by a former name, which the server understands. */
        if (select.value === "") select.prepend(new Option(ownZone, ownZone, true, true));
        select.focus();
    });
}
