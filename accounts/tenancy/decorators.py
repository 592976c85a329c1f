"""View decorators: the member, or the operator, behind a request of the portal."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render

from accounts.authorization.actor import Actor, EntryPoint
from accounts.http.client_ip import client_address
from accounts.models import Account, Membership, User
from accounts.tenancy.forms import OwnAccountForm
from accounts.tenancy.registration_policy import is_open_for_sign_up

SESSION_KEY = "account"
"""The account whose page was opened last. It decides where the portal begins, and nothing else: a
page, and what is sent from it, belongs to the account in its address."""
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


def member_in(request: HttpRequest, account_id: int | None) -> Membership | None:
    """The present membership in this account. None for everybody else."""
    mine = (member for member in memberships_of(request) if member.account_id == account_id)
    return next(mine, None)


def last_member(request: HttpRequest) -> Membership | None:
    """The membership in the account used last, else the first. None for anonymous visitors."""
    first = next(iter(memberships_of(request)), None)
    return member_in(request, request.session.get(SESSION_KEY)) or first


def shown_member(request: HttpRequest) -> Membership | None:
    """The membership in the account of this page; on pages of no account, in the one used last."""
    member: Membership | None = getattr(request, "member", None)
    return member or last_member(request)


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
) -> Callable[..., HttpResponseBase]:
    """Require a membership in the account that the address names, and set `request.member` and
    `request.actor`. The view is called without the id of the account.

    Anonymous visitors are asked to sign in. To all others an account in which they are no present
    members is not found, whether there is one or not.
    """

    @wraps(view)
    def guarded(
        request: HttpRequest, /, account_id: int, *args: P.args, **kwargs: P.kwargs
    ) -> HttpResponseBase:
        member = member_in(request, account_id)
        if member is None:
            raise Http404
        # One user object a request: the membership's is the one that signed in.
        assert isinstance(request.user, User)
        member.user = request.user
        request.member = member  # type: ignore[attr-defined]  # see MemberRequest
        request.actor = Actor.member(member, address=client_address(request))  # type: ignore[attr-defined]
        _remember(request, account_id)
        return view(request, *args, **kwargs)

    return login_required(guarded)


def _remember(request: HttpRequest, account_id: int) -> None:
    """Keep the account of a page that is opened as the one used last."""
    if request.method == "GET" and request.session.get(SESSION_KEY) != account_id:
        request.session[SESSION_KEY] = account_id
