/* On narrow screens the navigation is one line that scrolls: scroll to the current page. */

document
    .querySelector(".sidebar [aria-current='page']")
    ?.scrollIntoView({ block: "nearest", inline: "center" });
