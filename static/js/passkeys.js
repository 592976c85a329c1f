/* Passkeys (WebAuthn): before a form with data-passkey is sent, the browser creates a credential ("create") or signs in
   with one ("get"). The options are the JSON in the page whose id is data-options, or else come from the form's address.
   Where the browser has no passkeys the form stays hidden. */

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

const withByteIds = (descriptors) => (descriptors ?? []).map((each) => ({ ...each, id: toBytes(each.id) }));

const requestOptions = async (form) => {
    if (form.dataset.options) return JSON.parse(document.getElementById(form.dataset.options).textContent);
    const answer = await fetch(form.action, { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(`The portal answered ${answer.status}.`);
    return answer.json();
};

const createCredential = async ({ creation_options: { publicKey } }) => {
    const credential = await navigator.credentials.create({
        publicKey: {
            ...publicKey,
            challenge: toBytes(publicKey.challenge),
            user: { ...publicKey.user, id: toBytes(publicKey.user.id) },
            excludeCredentials: withByteIds(publicKey.excludeCredentials),
            authenticatorSelection: {
                ...publicKey.authenticatorSelection,
                residentKey: "required",
                requireResidentKey: true,
                userVerification: "required",
            },
        },
    });
    return {
        ...commonFields(credential),
        response: {
            clientDataJSON: toText(credential.response.clientDataJSON),
            attestationObject: toText(credential.response.attestationObject),
            transports: credential.response.getTransports?.() ?? [],
        },
    };
};

const getCredential = async ({ request_options: { publicKey } }) => {
    const credential = await navigator.credentials.get({
        publicKey: {
            ...publicKey,
            challenge: toBytes(publicKey.challenge),
            allowCredentials: withByteIds(publicKey.allowCredentials),
        },
    });
    const { clientDataJSON, authenticatorData, signature, userHandle } = credential.response;
    return {
        ...commonFields(credential),
        response: {
            clientDataJSON: toText(clientDataJSON),
            authenticatorData: toText(authenticatorData),
            signature: toText(signature),
            userHandle: userHandle && toText(userHandle),
        },
    };
};

const commonFields = (credential) => ({
    type: credential.type,
    id: credential.id,
    rawId: toText(credential.rawId),
    clientExtensionResults: credential.getClientExtensionResults(),
});

const askAndSubmit = async (form) => {
    const askBrowser = form.dataset.passkey === "create" ? createCredential : getCredential;
    const failureNotice = form.querySelector("[data-passkey-failed]");
    failureNotice.hidden = true;
    try {
        form.elements.credential.value = JSON.stringify(await askBrowser(await requestOptions(form)));
        form.submit();
    } catch {
        failureNotice.hidden = false;
    }
};

for (const form of isSupported ? forms : []) {
    form.hidden = false;
    form.addEventListener("submit", (event) => {
        event.preventDefault();
        askAndSubmit(form);
    });
}
for (const notice of document.querySelectorAll("[data-passkey-unsupported]")) notice.hidden = isSupported;
