"""View decorators: the member, or the operator, behind a request of the portal."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render

from accounts.authorization.actor import Actor, EntryPoint
from accounts.http.client_ip import client_address
from accounts.models import Account, Membership, User
from accounts.tenancy.forms import OwnAccountForm
from accounts.tenancy.registration_policy import is_open_for_sign_up

SESSION_KEY = "account"
P = ParamSpec("P")


class MemberRequest(HttpRequest):
    """A request of a present member of `member.account`."""

    user: User
    member: Membership
    actor: Actor


def memberships_of(request: HttpRequest) -> list[Membership]:
    """The present memberships of the signed-in person; queried once a request."""
    if not isinstance(request.user, User):
        return []
    known: list[Membership] | None = getattr(request, "_memberships", None)
    if known is None:
        known = list(Membership.objects.of(request.user))
        request._memberships = known  # type: ignore[attr-defined]  # kept with the request
    return known


def current_member(request: HttpRequest) -> Membership | None:
    """The membership in the chosen account, else the first. None for anonymous visitors."""
    memberships = memberships_of(request)
    chosen = request.session.get(SESSION_KEY)
    first = memberships[0] if memberships else None
    return next((member for member in memberships if member.account_id == chosen), first)


def operator_of(request: HttpRequest) -> Actor:
    """The operator behind a request of the Django admin."""
    assert isinstance(request.user, User)
    return Actor.operator(
        through=EntryPoint.ADMIN, user=request.user, address=client_address(request)
    )


def without_account(request: HttpRequest, form: OwnAccountForm, *, status: int) -> HttpResponse:
    """The page for a person who belongs to no open account."""
    assert isinstance(request.user, User)
    closed = list(
        Account.objects.filter(memberships__user=request.user, memberships__removed_at=None)
    )
    context = {
        "closed": closed,
        "form": form if is_open_for_sign_up() and not closed else None,
    }
    return render(request, "accounts/no_account.html", context, status=status)


def member_required(
    view: Callable[Concatenate[Any, P], HttpResponseBase],
) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
    """Require a membership, and set `request.member` and `request.actor`.

    Anonymous visitors are asked to sign in; people without an account get a page that says so.
    """

    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        member = current_member(request)
        if member is None:
            return without_account(request, OwnAccountForm(), status=403)
        # One user object a request: the membership's is the one that signed in.
        assert isinstance(request.user, User)
        member.user = request.user
        request.member = member  # type: ignore[attr-defined]  # see MemberRequest
        request.actor = Actor.member(member, address=client_address(request))  # type: ignore[attr-defined]
        return view(request, *args, **kwargs)

    return login_required(guarded)
