/* A link to a call opens it, also in browsers that do not open <details> for an address by themselves. */

const openLinked = () => {
    const call = document.getElementById(decodeURIComponent(window.location.hash.slice(1)));
    const fold = call?.querySelector("details.operation__fold");
    if (!fold || fold.open) return;
    fold.open = true;
    call.scrollIntoView();
};

window.addEventListener("hashchange", openLinked);
openLinked();
