"""Audit events hold no secret, whatever they are given: nobody can edit them."""

from typing import Any

import pytest

from accounts.audit import recorder as audit
from accounts.authorization.actor import Actor, EntryPoint
from accounts.models import AuditEvent, Membership
from apitokens import keys

pytestmark = pytest.mark.django_db

OPERATOR = Actor.operator(through=EntryPoint.COMMAND)


def test_texts_of_details_are_redacted_wherever_they_stand(user: Membership) -> None:
    key = keys.make(730114528)
    details: dict[str, Any] = {
        "name": f"Deploys {key.spell()}",
        "list": [key.spell("_"), 5, None],
        "facts": {key.spell(): {"inner": key.spell()}},
    }
    happened = audit.Happened(user.account_id, user, details)

    audit.record("token.edited", by=OPERATOR, at=user.created_at, subject=user, **details)
    audit.record_many("token.edited", [happened], by=OPERATOR, at=user.created_at)

    kept = list(AuditEvent.objects.filter(kind="token.edited").values_list("details", flat=True))
    assert len(kept) == 2
    assert key.secret not in str(kept)
    assert all(each["name"] == "Deploys 730114528$…" for each in kept)
    assert all(each["list"] == ["730114528_…", 5, None] for each in kept)
