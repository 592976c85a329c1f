/* New users read times in the time zone of their browser. */

for (const field of document.querySelectorAll("input[data-time-zone]"))
    field.value = Intl.DateTimeFormat().resolvedOptions().timeZone || "";
