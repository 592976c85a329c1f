"""Views of the users of the caller's account: list, invite, change, remove."""

from datetime import datetime
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiResponse,
    PolymorphicProxySerializer,
    extend_schema,
)
from rest_framework import exceptions, status
from rest_framework.decorators import api_view
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import representations
from accounts.api.authentication import part_of_api
from accounts.api.errors import NotFound, as_errors
from accounts.api.pagination import (
    LIMIT_PARAMETER,
    MOST_AT_ONCE,
    OFFSET_PARAMETER,
    whole_or_page,
)
from accounts.api.schema import (
    ACCOUNT_ID,
    NO_ACCOUNT,
    NO_USER,
    PEOPLE,
    UNAUTHENTICATED,
    USER,
    USER_ID,
    USERS,
    answer,
    example,
    invalid,
    refusal,
)
from accounts.api.serializers import (
    ChangedUserSerializer,
    InvitationSerializer,
    InvitedSerializer,
    UserAndAccountsSerializer,
    UserPageSerializer,
    UserRoleSerializer,
    auth_types_of,
)
from accounts.api.service_accounts import removal
from accounts.api.views import actor_of, as_themselves, caller
from accounts.authorization.actor import Actor
from accounts.email_addresses import known_email
from accounts.invitations import services as invitations
from accounts.members import services as members
from accounts.models import Account, Invitation, Membership, User
from accounts.sign_in import services as sign_in_services
from accounts.users import services as user_services
from accounts.validators import is_id


class AlreadyInvited(exceptions.ValidationError):
    def __init__(self, user: int, account: int) -> None:
        super().__init__([f"User {user} has already been invited to client {account}"])


FORBIDDEN = refusal("Not permitted", message="You do not have permission to perform this action.")
FIELDS = {"language": "lang", "role": "user_role"}
NOT_ACCEPTED = "The user hasn't accepted the invitation yet. Remove it, and invite them again."


@extend_schema(
    operation_id="list_users",
    summary="List users",
    description="Administrators get all users of the account, followed by those who were invited "
    "but haven't accepted yet (activated is false); other users get only themselves. "
    "With limit or offset, the response is one page; without, an array of all of "
    f"them, up to {MOST_AT_ONCE:,}.",
    tags=[PEOPLE],
    parameters=[LIMIT_PARAMETER, OFFSET_PARAMETER],
    responses={
        200: OpenApiResponse(
            PolymorphicProxySerializer(
                "UserList",
                [UserAndAccountsSerializer(many=True), UserPageSerializer],
                resource_type_field_name=None,
                many=False,
            ),
            "The users, in the order they joined",
            [
                OpenApiExample("Without limit and offset", [USER], response_only=True),
                OpenApiExample("With limit or offset", USERS, response_only=True),
            ],
        ),
        400: invalid("Invalid limit", limit=["A valid integer is required."]),
        401: UNAUTHENTICATED,
    },
)
@part_of_api("users")
@api_view(["GET", "HEAD"])
def users(request: Request) -> HttpResponse:
    found = representations.Users(actor_of(request))

    def part(start: int, stop: int) -> list[Any]:
        return [UserAndAccountsSerializer(each).data for each in found.part(start, stop)]

    return whole_or_page(request, count=len(found), part=part)


@extend_schema(
    methods=["GET"],
    operation_id="get_user",
    summary="Get a user",
    description="A user of the account, or someone invited to it.",
    tags=[PEOPLE],
    parameters=[USER_ID],
    responses={
        200: answer(UserAndAccountsSerializer, "The user", USER),
        401: UNAUTHENTICATED,
        404: NO_USER,
    },
)
@extend_schema(
    methods=["PATCH"],
    operation_id="update_user",
    summary="Change my profile",
    description="You can change only your own profile, even as an Administrator: a user may also "
    "belong to other accounts. A new email address must be confirmed with a link "
    "that is sent to it. It can be requested only with an access token, within 5 "
    "minutes of signing in.",
    tags=[PEOPLE],
    parameters=[USER_ID],
    request=ChangedUserSerializer,
    examples=[example("A name", {"name": "Maria Okafor", "phone": "+49 30 901820", "lang": "de"})],
    responses={
        200: answer(UserAndAccountsSerializer, "Your user, as updated", USER),
        400: invalid("The request is invalid", lang=["Choose one of: en, de, ru, zh, az."]),
        401: UNAUTHENTICATED,
        403: FORBIDDEN,
        404: NO_USER,
    },
)
@part_of_api("users")
@api_view(["GET", "HEAD", "PATCH"])
def user(request: Request, user_id: int) -> Response:
    actor = actor_of(request)
    found = _find(user_id, actor)
    if request.method == "PATCH":
        _change(found, request, actor)
        found = _find(user_id, actor)
    if isinstance(found, Invitation):
        return Response(UserAndAccountsSerializer(representations.as_member(found)).data)
    if found.user_id == caller(request).user_id:
        return Response(as_themselves(found, actor))
    return Response(UserAndAccountsSerializer(found).data)


@extend_schema(
    operation_id="invite_user",
    summary="Invite a user",
    description="Sends an invitation with a link that is valid for 24 hours. For Administrators.",
    tags=[PEOPLE],
    request=InvitationSerializer,
    examples=[
        example(
            "An invitation",
            {
                "client_id": 1,
                "email": "nora@example.com",
                "user_role": {"id": 2, "name": "Users"},
                "lang": "en",
                "name": "Nora",
            },
        )
    ],
    responses={
        200: answer(InvitedSerializer, "Invited", {"status": "sent", "user_id": 612402195}),
        400: invalid(
            "The request is invalid; no one was invited",
            errors=["User 612402195 has already been invited to client 1"],
        ),
        401: UNAUTHENTICATED,
        403: FORBIDDEN,
        404: NO_ACCOUNT,
    },
)
@part_of_api("users")
@api_view(["POST"])
def invite_user(request: Request) -> Response:
    serializer = InvitationSerializer(data=request.data)
    serializer.is_valid(raise_exception=True)
    member, data = caller(request), serializer.validated_data
    if data["client_id"] != member.account_id:
        raise NotFound("Account not found.")
    invitation = _invite(member.account, data, by=actor_of(request))
    return Response({"status": "sent", "user_id": invitation.user_id})


@extend_schema(
    methods=["GET"],
    operation_id="get_user_role",
    summary="Get a user's role",
    description="The role of the user in the account.",
    tags=[PEOPLE],
    parameters=[ACCOUNT_ID, USER_ID],
    responses={
        200: answer(UserRoleSerializer, "The role", {"user_role": {"id": 2, "name": "Users"}}),
        401: UNAUTHENTICATED,
        404: NO_USER,
    },
)
@extend_schema(
    methods=["PUT"],
    operation_id="change_user_role",
    summary="Change a user's role",
    description="For Administrators. A user can't get a role lower than that of an active API "
    "token they issued.",
    tags=[PEOPLE],
    parameters=[ACCOUNT_ID, USER_ID],
    request=UserRoleSerializer,
    examples=[example("A different role", {"user_role": {"id": 5, "name": "Engineers"}})],
    responses={
        204: OpenApiResponse(description="Changed"),
        400: invalid("Missing or unknown role", user_role=["Invalid role: Root"]),
        401: UNAUTHENTICATED,
        403: refusal(
            "Not possible in the current state, or not permitted",
            message="The specified user has issued a token with a higher role. "
            "Try using another role.",
        ),
        404: NO_USER,
    },
)
@extend_schema(
    methods=["DELETE"],
    operation_id="remove_user",
    summary="Remove a user",
    description="Removes a user from the account, or withdraws an invitation. For Administrators. "
    "The user must have no active API tokens, or they are handed over or deleted in the same step.",
    tags=[PEOPLE],
    parameters=[ACCOUNT_ID, USER_ID, removal.HAND_OVER_TO, removal.DELETE_TOKENS],
    responses={
        204: OpenApiResponse(description="Removed"),
        400: invalid(
            "The receiver can't get the tokens",
            hand_over_to=["Choose another user or a service account of the account."],
        ),
        401: UNAUTHENTICATED,
        403: refusal(
            "Not possible in the current state, or not permitted",
            message="You can't remove the user as they have active tokens",
        ),
        404: NO_USER,
    },
)
@part_of_api("users")
@api_view(["GET", "HEAD", "PUT", "DELETE"])
def client_user(request: Request, client_id: int, user_id: int) -> Response:
    actor = actor_of(request)
    if caller(request).account_id != client_id:
        raise NotFound("Account not found.")
    if request.method == "DELETE":
        members.wait_for_end(account_id=client_id, user_id=user_id, by=actor)
    found = _find(user_id, actor)
    if request.method in ("GET", "HEAD"):
        return Response(UserRoleSerializer({"user_role": found.role}).data)
    if request.method == "PUT":
        _change_role(found, request, actor)
    else:
        _remove(found, request, actor)
    return Response(status=status.HTTP_204_NO_CONTENT)


def _find(user_id: int, actor: Actor) -> Membership | Invitation:
    if is_id(user_id):
        member = representations.members(actor).filter(user_id=user_id).first()
        found = member or representations.invitations(actor).filter(user_id=user_id).first()
        if found is not None:
            return found
    raise NotFound("User not found.")


def _change_role(found: Membership | Invitation, request: Request, actor: Actor) -> None:
    serializer = UserRoleSerializer(data=request.data)
    serializer.is_valid(raise_exception=True)
    if isinstance(found, Invitation):
        raise PermissionDenied(NOT_ACCEPTED)
    role = serializer.validated_data["user_role"]
    members.change_role(membership=found, role=role, by=actor, at=timezone.now())


def _remove(found: Membership | Invitation, request: Request, actor: Actor) -> None:
    asked = removal.asked_of(request)
    if isinstance(found, Invitation):
        invitations.withdraw(invitation=found, by=actor, at=timezone.now())
    else:
        removal.remove(found, asked, actor)


def _invite(account: Account, data: dict[str, Any], *, by: Actor) -> Invitation:
    try:
        return invitations.invite(
            account=account,
            email=data["email"],
            role=data["user_role"],
            name=data["name"] or "",
            language=data["lang"],
            by=by,
            at=timezone.now(),
        )
    except ValidationError as refusal:
        raise _worded(refusal) from refusal


def _worded(refusal: ValidationError) -> exceptions.APIException:
    """The service's refusal; for a user who was invited already, the sentence of the API."""
    fields = getattr(refusal, "error_dict", {})
    for error in fields.get("email", []):
        if error.code == "already_invited":
            return AlreadyInvited(**error.params)
    return exceptions.ValidationError(as_errors(refusal, FIELDS))


def _change(found: Membership | Invitation, request: Request, actor: Actor) -> None:
    serializer = ChangedUserSerializer(data=request.data)
    serializer.is_valid(raise_exception=True)
    if isinstance(found, Invitation) or found.user != actor.user:
        raise PermissionDenied
    user, data, at = found.user, serializer.validated_data, timezone.now()
    _refuse_other_auth_types(data.get("auth_types"), found)
    try:
        with transaction.atomic():
            _request_email_change(user, data.get("email"), by=actor, at=at)
            _save_profile(user, data, by=actor, at=at)
    except ValidationError as refusal:
        raise exceptions.ValidationError(as_errors(refusal, FIELDS)) from refusal


def _save_profile(user: User, data: dict[str, Any], *, by: Actor, at: datetime) -> None:
    if not {"name", "phone", "lang"} & set(data):
        return
    user_services.change_profile(
        user=user,
        name=data.get("name", user.name) or "",
        phone=data.get("phone", user.phone) or "",
        language=data.get("lang", user.language),
        time_zone=user.time_zone,
        by=by,
        at=at,
    )


def _request_email_change(user: User, email: str | None, *, by: Actor, at: datetime) -> None:
    """Request the change, if another address was sent."""
    if email is not None and known_email(email) != user.email:
        sign_in_services.request_email_change(user=user, email=email, by=by, at=at)


def _refuse_other_auth_types(asked: list[str] | None, member: Membership) -> None:
    if asked is not None and set(asked) != set(auth_types_of(member)):
        sentence = "How you sign in depends on what you have set up in the portal."
        raise exceptions.ValidationError({"auth_types": [sentence]})
