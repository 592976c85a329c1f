/* On narrow screens the navigation is one line that scrolls: scroll to the entry of the current page, or of the page
   that it is below. */

document
    .querySelector(".sidebar [aria-current]")
    ?.scrollIntoView({ block: "nearest", inline: "center" });
