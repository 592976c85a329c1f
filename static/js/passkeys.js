/* Passkeys: a form marked data-passkey asks the browser for one before it is sent.
   data-passkey="create" makes a new one, "get" uses one; the options come from the JSON in the page
   that data-options names, or else from the form's address. Where there are no passkeys the form
   stays hidden. */

const forms = document.querySelectorAll("form[data-passkey]");
const isSupported = Boolean(window.PublicKeyCredential && navigator.credentials?.create);

const toBytes = (text) => {
    const base64 = text.replace(/-/g, "+").replace(/_/g, "/");
    return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
};

const toText = (buffer) => {
    const binary = String.fromCharCode(...new Uint8Array(buffer));
    return btoa(binary).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
};

const withBytes = (descriptors) => (descriptors ?? []).map((each) => ({ ...each, id: toBytes(each.id) }));

const optionsFor = async (form) => {
    if (form.dataset.options) return JSON.parse(document.getElementById(form.dataset.options).textContent);
    const answer = await fetch(form.action, { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(`The portal answered ${answer.status}.`);
    return answer.json();
};

const create = async ({ creation_options: { publicKey } }) => {
    const credential = await navigator.credentials.create({
        publicKey: {
            ...publicKey,
            challenge: toBytes(publicKey.challenge),
            user: { ...publicKey.user, id: toBytes(publicKey.user.id) },
            excludeCredentials: withBytes(publicKey.excludeCredentials),
            authenticatorSelection: {
                ...publicKey.authenticatorSelection,
                residentKey: "required",
                requireResidentKey: true,
                userVerification: "required",
            },
        },
    });
    return {
        ...shared(credential),
        response: {
            clientDataJSON: toText(credential.response.clientDataJSON),
            attestationObject: toText(credential.response.attestationObject),
            transports: credential.response.getTransports?.() ?? [],
        },
    };
};

const get = async ({ request_options: { publicKey } }) => {
    const credential = await navigator.credentials.get({
        publicKey: {
            ...publicKey,
            challenge: toBytes(publicKey.challenge),
            allowCredentials: withBytes(publicKey.allowCredentials),
        },
    });
    const { clientDataJSON, authenticatorData, signature, userHandle } = credential.response;
    return {
        ...shared(credential),
        response: {
            clientDataJSON: toText(clientDataJSON),
            authenticatorData: toText(authenticatorData),
            signature: toText(signature),
            userHandle: userHandle && toText(userHandle),
        },
    };
};

const shared = (credential) => ({
    type: credential.type,
    id: credential.id,
    rawId: toText(credential.rawId),
    clientExtensionResults: credential.getClientExtensionResults(),
});

const send = async (form) => {
    const ask = form.dataset.passkey === "create" ? create : get;
    const failed = form.querySelector("[data-passkey-failed]");
    failed.hidden = true;
    try {
        form.elements.credential.value = JSON.stringify(await ask(await optionsFor(form)));
        form.submit();
    } catch {
        failed.hidden = false;
    }
};

for (const form of isSupported ? forms : []) {
    form.hidden = false;
    form.addEventListener("submit", (event) => {
        event.preventDefault();
        send(form);
    });
}
for (const words of document.querySelectorAll("[data-passkey-unsupported]")) words.hidden = isSupported;
