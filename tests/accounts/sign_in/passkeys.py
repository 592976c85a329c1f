"""A passkey without a browser: makes credentials, and answers challenges as security keys do."""

import hashlib
import json
from typing import Any

from allauth.account.utils import user_pk_to_url_str
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings
from fido2.cose import ES256
from fido2.utils import websafe_encode
from fido2.webauthn import (
    Aaguid,
    AttestationObject,
    AttestedCredentialData,
    AuthenticatorData,
    CollectedClientData,
)

from accounts.models import User

FLAG = AuthenticatorData.FLAG


class Passkey:
    """One key of one person. `checks_person`: asks for a PIN or a finger before it answers.
    `origin`: the page in whose name the browser asks."""

    def __init__(
        self, user: User, *, checks_person: bool = True, origin: str = settings.BASE_URL
    ) -> None:
        self.user, self.checks_person, self.origin = user, checks_person, origin
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.id = hashlib.sha256(str(id(self)).encode()).digest()

    def made(self, challenge: str) -> str:
        """The credential, as a browser sends it when the key is added."""
        client = self._client_data("webauthn.create", challenge)
        key = ES256.from_cryptography_key(self.key.public_key())  # type: ignore[no-untyped-call]  # fido2's
        known = AttestedCredentialData.create(Aaguid.NONE, self.id, key)
        data = AuthenticatorData.create(self._site(), self._flags | FLAG.AT, 0, known)
        made = AttestationObject.create("none", data, {})
        return self._sent(clientDataJSON=bytes(client), attestationObject=bytes(made))

    def answer(self, challenge: str, *, of: User | None = None) -> str:
        """The answer to a challenge, as a browser sends it; `of` names another user."""
        client = self._client_data("webauthn.get", challenge)
        data = AuthenticatorData.create(self._site(), self._flags, 1)
        signature = self.key.sign(data + client.hash, ec.ECDSA(hashes.SHA256()))
        return self._sent(
            clientDataJSON=bytes(client),
            authenticatorData=bytes(data),
            signature=signature,
            userHandle=user_handle(of or self.user),
        )

    @property
    def _flags(self) -> AuthenticatorData.FLAG:
        return FLAG.UP | FLAG.UV if self.checks_person else FLAG.UP

    def _site(self) -> bytes:
        return hashlib.sha256(b"localhost").digest()

    def _client_data(self, kind: str, challenge: str) -> CollectedClientData:
        return CollectedClientData.create(kind, challenge, self.origin)

    def _sent(self, **parts: bytes) -> str:
        response: dict[str, Any] = {name: websafe_encode(part) for name, part in parts.items()}
        whole = {"id": websafe_encode(self.id), "rawId": websafe_encode(self.id)}
        return json.dumps({**whole, "type": "public-key", "response": response})


def user_handle(user: User) -> bytes:
    """What a key remembers of whose it is."""
    return str(user_pk_to_url_str(user)).encode()
