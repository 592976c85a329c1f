/* Suggests people below a search field: a combobox with a list, as the ARIA Authoring Practices have it. Without it the
   field is searched when the form is sent. `attach` is called when the field gets the focus for the first time. */

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
                option.textContent = person;
                return option;
            }),
        );
        list.hidden = !people.length;
        input.setAttribute("aria-expanded", String(!list.hidden));
    };

    const ask = async () => {
        const number = ++asked;
        const text = input.value.trim();
        let people = [];
        if (text) {
            try {
                const answer = await fetch(`${input.dataset.people}?${new URLSearchParams({ q: text })}`);
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

    const choose = (option) => {
        input.value = option.textContent;
        close();
        input.form.requestSubmit();
    };

    input.addEventListener("input", () => {
        clearTimeout(timer);
        timer = setTimeout(ask, WAIT);
    });
    input.addEventListener("keydown", (event) => {
        if (event.isComposing) return;
        const options = [...list.children];
        const place = options.indexOf(chosen);
        if (event.key === "Escape" && !list.hidden) close();
        else if (event.key === "ArrowDown" && list.hidden) ask();
        else if (event.key === "ArrowDown") mark(options[(place + 1) % options.length]);
        else if (event.key === "ArrowUp" && !list.hidden) mark(options.at(place > 0 ? place - 1 : -1));
        else if (event.key === "Enter" && chosen) choose(chosen);
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
