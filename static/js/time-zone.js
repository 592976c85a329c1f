/* Whoever is new reads times in the zone of their browser. */

for (const field of document.querySelectorAll("input[data-time-zone]"))
    field.value = Intl.DateTimeFormat().resolvedOptions().timeZone || "";
