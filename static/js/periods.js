/* Keeps a date field and the periods beside it together: a period fills in its date, a typed date chooses its period or
   "Other date". Without this script the server decides which of them was meant. */

const periods = [...document.querySelectorAll("input[data-period]")];

for (const period of periods) {
    const date = document.getElementById(period.dataset.period);
    period.addEventListener("change", () => {
        if (period.value) date.value = period.value;
        else date.focus();
    });
}

for (const date of new Set(periods.map((period) => document.getElementById(period.dataset.period)))) {
    const own = periods.filter((period) => period.dataset.period === date.id);
    date.addEventListener("input", () => {
        const fitting = own.find((period) => period.value === date.value) ?? own.find((period) => !period.value);
        fitting.checked = true;
    });
}
