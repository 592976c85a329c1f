/* Suggests people below a search field: a combobox with a list, as the ARIA Authoring Practices have it. Without it the
   field is searched when the form is sent. `attach` is called when the field gets the focus for the first time.

   Choosing applies a filter, adds a checkbox to the chosen people of a fieldset, and fills any other field. */

const WAIT = 150;

export const attach = (input) => {
    const list = document.createElement("ul");
    list.id = `${input.id}_people`;
    list.className = "suggestions";
    list.role = "listbox";
    list.hidden = true;
    list.setAttribute("aria-label", input.labels[0].textContent.trim());
    input.after(list);
    input.parentElement.classList.add("suggests");
    for (const [name, value] of [["role", "combobox"], ["aria-autocomplete", "list"], ["aria-controls", list.id]]) {
        input.setAttribute(name, value);
    }

    let asked = 0;
    let timer;
    let chosen = null;

    const mark = (option) => {
        chosen?.removeAttribute("aria-selected");
        chosen = option;
        chosen?.setAttribute("aria-selected", "true");
        chosen?.scrollIntoView({ block: "nearest" });
        if (chosen) input.setAttribute("aria-activedescendant", chosen.id);
        else input.removeAttribute("aria-activedescendant");
    };

    const show = (people) => {
        mark(null);
        list.replaceChildren(
            ...people.map((person, place) => {
                const option = document.createElement("li");
                option.id = `${list.id}_${place}`;
                option.role = "option";
                option.dir = "auto";
                option.textContent = person.label;
                Object.assign(option.dataset, { id: person.id, role: person.role });
                return option;
            }),
        );
        list.hidden = !people.length;
        list.style.insetBlockStart = `${input.offsetTop + input.offsetHeight}px`; // a help may follow the field
        input.setAttribute("aria-expanded", String(!list.hidden));
    };

    const ask = async () => {
        const number = ++asked;
        const text = input.value.trim();
        let people = [];
        if (text) {
            try {
                const address = new URL(input.dataset.people, location);
                address.searchParams.set("q", text);
                const answer = await fetch(address);
                if (answer.ok && !answer.redirected) ({ people } = await answer.json());
            } catch {
                /* No network: the form still works. */
            }
        }
        if (number === asked && document.activeElement === input) show(people);
    };

    const close = () => {
        clearTimeout(timer);
        asked++;
        show([]);
    };

    const isFilter = "filters" in input.form.dataset;
    const chosenPeople = input.closest("fieldset")?.querySelector("[data-chosen-people]");

    const add = ({ dataset, textContent }) => {
        let box = chosenPeople.querySelector(`input[value="${dataset.id}"]`);
        if (!box) {
            const row = chosenPeople.nextElementSibling.content.cloneNode(true);
            box = row.querySelector("input");
            box.value = dataset.id;
            row.querySelector("[data-label]").textContent = textContent;
            row.querySelector("[data-role]").textContent = dataset.role;
            chosenPeople.append(row);
        }
        box.checked = true;
        input.value = "";
    };

    const choose = (option) => {
        if (chosenPeople) add(option);
        else input.value = option.textContent;
        close();
        if (isFilter) input.form.requestSubmit();
    };

    input.addEventListener("input", () => {
        clearTimeout(timer);
        timer = setTimeout(ask, WAIT);
    });
    input.addEventListener("keydown", (event) => {
        if (event.isComposing) return;
        const options = [...list.children];
        const place = options.indexOf(chosen);
        if (event.key === "Escape" && !list.hidden) {
            event.stopPropagation(); // a dialog around the field stays
            close();
        } else if (event.key === "ArrowDown" && list.hidden) ask();
        else if (event.key === "ArrowDown") mark(options[(place + 1) % options.length]);
        else if (event.key === "ArrowUp" && !list.hidden) mark(options.at(place > 0 ? place - 1 : -1));
        else if (event.key === "Enter" && chosen) choose(chosen);
        else if (event.key === "Enter" && !isFilter) ask(); // and sends nothing that was not looked at
        else return;
        event.preventDefault();
    });
    input.addEventListener("blur", close);
    // The field keeps the focus while the pointer chooses.
    list.addEventListener("pointerdown", (event) => event.preventDefault());
    list.addEventListener("click", (event) => {
        if (event.target.role === "option") choose(event.target);
    });
    show([]);
    if (input.value !== input.defaultValue) ask(); // typed while this script was on its way
};
