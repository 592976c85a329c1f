/* Says when the first request with a new token has arrived, while the page is open and looked at. */

const waiting = document.querySelector("[data-first-request]");
const PAUSES = [2, 2, 2, 3, 3, 5, 5, 10];
const GIVES_UP_AFTER = 30 * 60;

const ask = async () => {
    if (document.hidden) return false;
    const answer = await fetch(waiting.dataset.firstRequest, { headers: { Accept: "application/json" } });
    if (!answer.ok) return false;
    const { received, words } = await answer.json();
    if (!received) return false;
    waiting.textContent = words;
    waiting.dataset.received = "true";
    return true;
};

const wait = async () => {
    let waited = 0;
    for (let round = 0; waited < GIVES_UP_AFTER; round += 1) {
        const pause = PAUSES[Math.min(round, PAUSES.length - 1)];
        await new Promise((resume) => setTimeout(resume, pause * 1000));
        waited += pause;
        try {
            if (await ask()) return;
        } catch {
            /* The portal does not answer just now. */
        }
    }
};

if (waiting) {
    waiting.hidden = false;
    document.querySelector("[data-first-request-link]").hidden = true;
    wait();
}
