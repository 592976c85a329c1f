"""What API tokens have to say when a member leaves an account."""

from datetime import datetime
from typing import Any

from django.core.exceptions import PermissionDenied
from django.dispatch import receiver
from django.utils.translation import gettext as _

from accounts.models import Membership
from accounts.signals import member_leaving
from apitokens.models import APIToken


@receiver(member_leaving)
def refuse_with_active_tokens(membership: Membership, at: datetime, **_facts: Any) -> None:
    """A member with active tokens stays: what they issued must not go on without them."""
    if APIToken.objects.active(at).filter(issuer=membership).exists():
        raise PermissionDenied(_("You can't remove the user as they have active tokens"))
