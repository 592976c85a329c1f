/* Selects all rows of the page, counts what is selected, and lets "all that match" stand for every row. Without it the
   boxes and the buttons work as well. */

const form = document.querySelector("form[data-selection]");
const rows = form ? [...document.querySelectorAll("input[name='token'][form='selection']")] : [];
const pageBox = document.querySelector("[data-select-page]");

const selectAll = (isChecked) => {
    for (const row of rows) row.checked = isChecked;
};

const show = () => {
    const number = rows.filter((row) => row.checked).length;
    const words = form.querySelector("[data-selected]");
    const text = number && !form.all.checked ? words.dataset.selected.replace("{count}", number) : "";
    if (words.textContent !== text) words.textContent = text;
    pageBox.checked = number === rows.length;
    pageBox.indeterminate = number > 0 && number < rows.length;
};

if (rows.length && pageBox) {
    pageBox.hidden = false;
    if (form.all.hasAttribute("data-one-page")) form.all.closest("label").hidden = true;

    pageBox.addEventListener("change", () => {
        selectAll(pageBox.checked);
        form.all.checked = false;
        show();
    });
    form.all.addEventListener("change", () => {
        selectAll(form.all.checked);
        show();
    });
    for (const row of rows) {
        row.addEventListener("change", () => {
            form.all.checked = false;
            show();
        });
    }
    show(); // a browser that comes back keeps what was selected
}
