"""Views of the caller, their account, and the sign-ins of its users."""

from typing import Any

from django.db.models import Q
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.decorators import api_view
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import representations
from accounts.api.authentication import part_of_api
from accounts.api.pagination import LIMIT_PARAMETER, OFFSET_PARAMETER, page
from accounts.api.schema import PEOPLE, SIGN_INS, UNAUTHENTICATED, USER, answer, invalid
from accounts.api.serializers import (
    SIGN_IN_REFUSED,
    SIGNED_IN,
    AccountSerializer,
    SignInPageSerializer,
    SignInSerializer,
    UserAndAccountsSerializer,
)
from accounts.audit.visibility import events_visible_to
from accounts.authorization.actor import Actor
from accounts.models import Membership

MOST_USERS = 100
"""Of an account's details, which many programs ask for only to learn the account's id."""


def actor_of(request: Request) -> Actor:
    """The actor of a request; every authentication class of the API sets it as `request.auth`."""
    assert isinstance(request.auth, Actor)
    return request.auth


def as_themselves(member: Membership, actor: Actor) -> Any:
    """The representation of the caller, with all their accounts. But an API token belongs to one
    account, and reveals nothing of its issuer's others."""
    theirs = [member] if actor.token_id else list(Membership.objects.of(member.user))
    return UserAndAccountsSerializer(member, context={"memberships": theirs}).data


def caller(request: Request) -> Membership:
    """The member in whose name the call is made."""
    membership = actor_of(request).membership
    assert membership is not None
    return membership


@extend_schema(
    operation_id="get_account",
    summary="Get my account",
    description="Details of your current account. Administrators also get its users, up to "
    f"{MOST_USERS}: list_users has all. Others get only themselves.",
    tags=[PEOPLE],
    responses={200: OpenApiResponse(AccountSerializer, "Your account"), 401: UNAUTHENTICATED},
)
@part_of_api("users")
@api_view(["GET", "HEAD"])
def my_account(request: Request) -> Response:
    member, actor = caller(request), actor_of(request)
    context = {"member": member, "visible": representations.Users(actor).part(0, MOST_USERS)}
    return Response(AccountSerializer(member.account, context=context).data)


@extend_schema(
    operation_id="get_current_user",
    summary="Get myself",
    description="Your user in the current account. With an access token, also your other "
    "accounts, which an API token can't see.",
    tags=[PEOPLE],
    responses={200: answer(UserAndAccountsSerializer, "You", USER), 401: UNAUTHENTICATED},
)
@part_of_api("users")
@api_view(["GET", "HEAD"])
def my_user(request: Request) -> Response:
    actor = actor_of(request)
    return Response(as_themselves(representations.oneself(actor), actor))


@extend_schema(
    operation_id="list_sign_ins",
    summary="List sign-ins",
    description="Successful and rejected sign-ins, newest first. Administrators see those of all "
    "the account's users; others see only their own.",
    tags=[PEOPLE],
    parameters=[LIMIT_PARAMETER, OFFSET_PARAMETER],
    responses={
        200: answer(SignInPageSerializer, "The sign-ins, newest first", SIGN_INS),
        400: invalid("Invalid limit", limit=["A valid integer is required."]),
        401: UNAUTHENTICATED,
    },
)
@part_of_api("audit")
@api_view(["GET", "HEAD"])
def sign_ins(request: Request) -> Response:
    events = events_visible_to(actor_of(request)).narrowed(
        Q(kind=SIGNED_IN, subject_type="user"), Q(kind=SIGN_IN_REFUSED, subject_type="user")
    )

    def part(start: int, stop: int) -> list[dict[str, object]]:
        return [SignInSerializer(event).data for event in events[start:stop]]

    return Response(page(request, count=len(events), part=part, key="result"))
