/* On narrow screens the navigation is one line that scrolls: show where we are. */

document
    .querySelector(".sidebar [aria-current='page']")
    ?.scrollIntoView({ block: "nearest", inline: "center" });
