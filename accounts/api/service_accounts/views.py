"""Views of the service accounts of the caller's account."""

from collections.abc import Iterable
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import exceptions, status
from rest_framework.decorators import api_view
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.authentication import part_of_api
from accounts.api.errors import NotFound, as_errors
from accounts.api.pagination import LIMIT_PARAMETER, OFFSET_PARAMETER, whole_or_page
from accounts.api.schema import (
    ACCOUNT_ID,
    NO_ACCOUNT,
    UNAUTHENTICATED,
    answer,
    example,
    invalid,
    listed,
    refusal,
)
from accounts.api.service_accounts import removal
from accounts.api.service_accounts.serializers import (
    EditedServiceAccountSerializer,
    NewServiceAccountSerializer,
    ServiceAccountPageSerializer,
    ServiceAccountSerializer,
)
from accounts.api.views import actor_of, caller
from accounts.authorization import token_hooks
from accounts.authorization.actor import Actor
from accounts.members import services as members
from accounts.models import Account, Membership, ServiceAccount
from accounts.service_accounts import issuing, services
from accounts.validators import is_id

TAG = "Service accounts"
SERVICE_ACCOUNT_ID = OpenApiParameter(
    "service_account_id", int, OpenApiParameter.PATH, description="The service account's ID."
)
SERVICE_ACCOUNT: dict[str, Any] = {
    "id": 730114528,
    "name": "Deploys",
    "email": "730114528@service-accounts.invalid",
    "description": "The pipeline that purges the cache after each deploy.",
    "role": {"id": 5, "name": "Engineers"},
    "contact": 612402195,
    "contact_email": "",
    "contact_email_status": "",
    "issuers": [612402195],
    "is_active": True,
    "created": "2026-11-23T09:30:00Z",
    "active_tokens": 2,
}
NEW = {
    "name": "Deploys",
    "role": {"name": "Engineers"},
    "contact": 612402195,
    "issuers": [612402195],
}
FORBIDDEN = refusal("Not permitted", message="Only Administrators can manage service accounts.")
NO_SERVICE_ACCOUNT = refusal(
    "No such service account, or you may not see it", message="Service account not found."
)
INVALID = invalid("The request is invalid", issuers=["Choose members of the account."])


@extend_schema(
    methods=["GET"],
    operation_id="list_service_accounts",
    summary="List service accounts",
    description="Issuers of API tokens that are no person. Administrators get all of the account; "
    "other users get those for which they may issue tokens. With limit or offset, the response is "
    "one page; without, an array of all of them.",
    tags=[TAG],
    parameters=[ACCOUNT_ID, LIMIT_PARAMETER, OFFSET_PARAMETER],
    responses={
        200: listed(
            "ServiceAccountList",
            ServiceAccountSerializer,
            ServiceAccountPageSerializer,
            "The service accounts, in the order they were made",
            SERVICE_ACCOUNT,
        ),
        400: invalid("Invalid limit", limit=["A valid integer is required."]),
        401: UNAUTHENTICATED,
        404: NO_ACCOUNT,
    },
)
@extend_schema(
    methods=["POST"],
    operation_id="create_service_account",
    summary="Create a service account",
    description="For Administrators. No one can sign in as it. To create a token for it, send its "
    "ID as the `issuer` of the token.",
    tags=[TAG],
    parameters=[ACCOUNT_ID],
    request=NewServiceAccountSerializer,
    examples=[example("A service account", NEW)],
    responses={
        200: answer(ServiceAccountSerializer, "Created", SERVICE_ACCOUNT),
        400: INVALID,
        401: UNAUTHENTICATED,
        403: FORBIDDEN,
        404: NO_ACCOUNT,
    },
)
@part_of_api("users")
@api_view(["GET", "HEAD", "POST"])
def service_accounts(request: Request, client_id: int) -> HttpResponse:
    actor = _actor_in(client_id, request)
    if request.method != "POST":
        found = _with_people(actor)
        return whole_or_page(
            request, count=found.count(), part=lambda start, stop: _entries(found[start:stop])
        )
    _refuse_others(actor)
    asked = NewServiceAccountSerializer(data=request.data)
    asked.is_valid(raise_exception=True)
    return _answer(_create(asked.validated_data, actor))


@extend_schema(
    methods=["GET"],
    operation_id="get_service_account",
    summary="Get a service account",
    tags=[TAG],
    parameters=[ACCOUNT_ID, SERVICE_ACCOUNT_ID],
    responses={
        200: answer(ServiceAccountSerializer, "The service account", SERVICE_ACCOUNT),
        401: UNAUTHENTICATED,
        404: NO_SERVICE_ACCOUNT,
    },
)
@extend_schema(
    methods=["PATCH"],
    operation_id="update_service_account",
    summary="Edit a service account, turn it off or on",
    description="For Administrators. Its role can't be lower than that of one of its active "
    "tokens.",
    tags=[TAG],
    parameters=[ACCOUNT_ID, SERVICE_ACCOUNT_ID],
    request=EditedServiceAccountSerializer,
    examples=[example("Turn it off", {"is_active": False})],
    responses={
        200: answer(ServiceAccountSerializer, "As it is now", SERVICE_ACCOUNT),
        400: INVALID,
        401: UNAUTHENTICATED,
        403: refusal(
            "One of its tokens has a higher role, or you aren't permitted",
            message="A token of the service account has a higher role. Try using another role.",
        ),
        404: NO_SERVICE_ACCOUNT,
    },
)
@extend_schema(
    methods=["DELETE"],
    operation_id="remove_service_account",
    summary="Remove a service account",
    description="For Administrators. Its active tokens must be handed over or deleted in the same "
    "step, or it must have none.",
    tags=[TAG],
    parameters=[
        ACCOUNT_ID,
        SERVICE_ACCOUNT_ID,
        removal.HAND_OVER_TO,
        removal.DELETE_TOKENS,
    ],
    responses={
        204: OpenApiResponse(description="Removed"),
        400: invalid(
            "The receiver can't get the tokens", hand_over_to=["Choose a member of the account."]
        ),
        401: UNAUTHENTICATED,
        403: refusal(
            "It has active tokens, or you aren't permitted",
            message="You can't remove the service account as it has active tokens",
        ),
        404: NO_SERVICE_ACCOUNT,
    },
)
@part_of_api("users")
@api_view(["GET", "HEAD", "PATCH", "DELETE"])
def service_account(request: Request, client_id: int, service_account_id: int) -> Response:
    actor = _actor_in(client_id, request)
    if request.method == "DELETE":
        members.wait_for_end(account_id=client_id, user_id=service_account_id, by=actor)
    found = _find(service_account_id, actor)
    if request.method == "DELETE":
        removal.remove(found.membership, removal.asked_of(request), actor)
        return Response(status=status.HTTP_204_NO_CONTENT)
    if request.method == "PATCH":
        _refuse_others(actor)
        asked = EditedServiceAccountSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        _edit(found, asked.validated_data, actor)
        found = _find(service_account_id, actor)
    return _answer(found)


def _actor_in(client_id: int, request: Request) -> Actor:
    if caller(request).account_id != client_id:
        raise NotFound("Account not found.")
    return actor_of(request)


def _refuse_others(actor: Actor) -> None:
    """Refuse those who are no Administrators before what they sent is looked at."""
    if not members.may_manage(actor, _account(actor).pk):
        raise PermissionDenied("Only Administrators can manage service accounts.")


def _with_people(actor: Actor) -> QuerySet[ServiceAccount]:
    found = issuing.visible_to(actor).select_related("contact")
    return found.prefetch_related("issuers")


def _find(user_id: int, actor: Actor) -> ServiceAccount:
    if is_id(user_id):
        found = issuing.visible_to(actor).filter(membership__user=user_id).first()
        if found is not None:
            return found
    raise NotFound("Service account not found.")


def _entries(found: Iterable[ServiceAccount]) -> list[Any]:
    shown = list(found)
    if not shown:
        return []
    # Of these alone: people of the account may have a hundred thousand.
    ids = [each.pk for each in shown]
    counts = token_hooks.counts(shown[0].membership.account_id, timezone.now(), ids)
    return [ServiceAccountSerializer(each, context={"counts": counts}).data for each in shown]


def _answer(found: ServiceAccount) -> Response:
    return Response(_entries([found])[0])


def _create(asked: dict[str, Any], actor: Actor) -> ServiceAccount:
    account = _account(actor)
    try:
        return services.create(
            account=account, by=actor, at=timezone.now(), **(asked | _people(asked, account.pk))
        )
    except ValidationError as refused:
        raise exceptions.ValidationError(as_errors(refused)) from refused


def _edit(found: ServiceAccount, asked: dict[str, Any], actor: Actor) -> None:
    at = timezone.now()
    is_on = asked.pop("is_active", None)  # read before the lock, `found` may be of before
    try:
        with transaction.atomic():
            changes: Any = asked | _people(asked, found.membership.account_id)
            services.edit(service_account=found, changes=changes, by=actor, at=at)
            if is_on is not None:
                services.switch(service_account=found, is_on=is_on, by=actor, at=at)
    except ValidationError as refused:
        raise exceptions.ValidationError(as_errors(refused)) from refused


def _account(actor: Actor) -> Account:
    assert actor.membership is not None
    return actor.membership.account


def _people(asked: dict[str, Any], account_id: int) -> dict[str, Any]:
    """The members whom the request names by their ids. Raises `ValidationError` for strangers."""
    people: dict[str, Any] = {}
    if "issuers" in asked:
        people["issuers"] = _members(asked["issuers"], account_id, "issuers")
    if asked.get("contact") is not None:
        (people["contact"],) = _members([asked["contact"]], account_id, "contact")
    return people


def _members(user_ids: list[int], account_id: int, field: str) -> list[Membership]:
    known = {user_id for user_id in user_ids if is_id(user_id)}
    found = list(Membership.objects.present().filter(account=account_id, user__in=known))
    if len(found) != len(set(user_ids)):
        raise ValidationError({field: ValidationError("Choose members of the account.")})
    return found
