"""API tokens of an account: list, create, get, edit, rotate, delete. v2 spells secrets with `_`."""

from datetime import datetime
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables
from rest_framework import exceptions, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.errors import NotFound, as_errors
from accounts.api.pagination import MOST_AT_ONCE, Part, array, is_paged, page
from accounts.api.views import actor_of, caller
from accounts.authorization.actor import Actor
from accounts.models import Membership
from accounts.roles import Role
from accounts.service_accounts.issuing import visible_to
from accounts.validators import is_id
from apitokens.api import schema as described
from apitokens.api.serializers import (
    FIELDS,
    EditedTokenSerializer,
    IssuedSerializer,
    NewTokenSerializer,
    RotationSerializer,
    TokenSerializer,
)
from apitokens.filters import APIFilter
from apitokens.keys import Key, Separator
from apitokens.models import APIToken, APITokenQuerySet
from apitokens.tokens import editing, rotation
from apitokens.tokens import services as token_services
from notifications.bounded_pages import MOST_COUNTED


class AccountView(APIView):
    """An address below one account: for everybody else that account does not exist."""

    part_of_api: ClassVar[str] = "tokens"
    separator: ClassVar[Separator] = "$"

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if caller(request).account_id != kwargs["client_id"]:
            raise NotFound("Account not found.")

    @sensitive_variables()
    def shown_once(self, token: APIToken, key: Key, *, at: datetime) -> Response:
        """The token with its new secret."""
        context = {"at": at, "plaintext": key.spell(self.separator)}
        answer = Response(IssuedSerializer(token, context=context).data)
        answer["Cache-Control"] = "no-store"
        return answer


@described.TOKENS_V1
class Tokens(AccountView):
    def get(self, request: Request, client_id: int) -> HttpResponse:
        at = timezone.now()
        found = APIFilter(request.query_params, actor=actor_of(request), at=at)
        if not found.is_valid():
            raise ValidationError(found.errors.as_data())
        if is_paged(request):
            count = found.qs.order_by()[: MOST_COUNTED + 1].count()
            return Response(page(request, count=count, part=_reader(found.qs, at)))
        # Which tokens they are is decided once, by an index alone; their rows are read in parts.
        ids = list(found.qs.values_list("pk", flat=True)[: MOST_AT_ONCE + 1])
        return array(count=len(ids), part=_reader(ids, at))

    @sensitive_variables()
    def post(self, request: Request, client_id: int) -> Response:
        asked = NewTokenSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        at, actor = timezone.now(), actor_of(request)
        token, key = _issue(asked.validated_data, actor=actor, at=at)
        return self.shown_once(token, key, at=at)


@described.TOKEN_V1
class Token(AccountView):
    def get(self, request: Request, client_id: int, token_id: int) -> Response:
        token = _find(token_id, actor_of(request))
        return Response(TokenSerializer(token, context={"at": timezone.now()}).data)

    def patch(self, request: Request, client_id: int, token_id: int) -> Response:
        at, actor = timezone.now(), actor_of(request)
        token = _find(token_id, actor)
        asked = EditedTokenSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        token = _edit(token, asked.validated_data, actor=actor, at=at)
        return Response(TokenSerializer(token, context={"at": at}).data)

    def delete(self, request: Request, client_id: int, token_id: int) -> Response:
        actor = actor_of(request)
        token_services.delete(token=_find(token_id, actor), by=actor, at=timezone.now())
        return Response(status=status.HTTP_204_NO_CONTENT)


@described.ROTATE_V1
class Rotate(AccountView):
    @sensitive_variables()
    def post(self, request: Request, client_id: int, token_id: int) -> Response:
        at, actor = timezone.now(), actor_of(request)
        token = _find(token_id, actor)
        asked = RotationSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        token, key = _rotate(token, asked.validated_data, actor=actor, at=at)
        return self.shown_once(token, key, at=at)


@described.OLD_SECRET_V1
class OldSecret(AccountView):
    def delete(self, request: Request, client_id: int, token_id: int) -> Response:
        actor = actor_of(request)
        rotation.end_old_secret(token=_find(token_id, actor), by=actor, at=timezone.now())
        return Response(status=status.HTTP_204_NO_CONTENT)


@described.TOKENS_V2
class TokensV2(Tokens):
    separator: ClassVar[Separator] = "_"


@described.TOKEN_V2
class TokenV2(Token):
    separator: ClassVar[Separator] = "_"


@described.ROTATE_V2
class RotateV2(Rotate):
    separator: ClassVar[Separator] = "_"


@described.OLD_SECRET_V2
class OldSecretV2(OldSecret):
    separator: ClassVar[Separator] = "_"


def _reader(found: APITokenQuerySet | list[int], at: datetime) -> Part:
    """Reads the tokens of a part by ids: asked for in order and whole, with everybody whom they
    name, the database would rather read all users of the portal."""

    def read(start: int, stop: int) -> list[Any]:
        part = found[start:stop]
        ids = part if isinstance(part, list) else list(part.values_list("pk", flat=True))
        rows = APIToken.objects.for_display().in_bulk(ids)
        tokens = [rows[each] for each in ids if each in rows]
        many: Any = TokenSerializer(tokens, many=True, context={"at": at})  # type: ignore[arg-type]  # of one token, says the stub
        return list(many.data)

    return read


def _find(token_id: int, actor: Actor) -> APIToken:
    visible = APIToken.objects.visible_to(actor).for_display()
    token = visible.filter(pk=token_id).first()
    if token is None:
        raise NotFound("API token not found.")
    return token


def _issue(asked: dict[str, Any], *, actor: Actor, at: Any) -> token_services.Issued:
    issuer = _issuer(asked["issuer"], actor)
    assert actor.role is not None
    scopes = asked.get("scopes", _own_scopes(actor))
    # Of a service account that may less than the caller, it is all that the service account may.
    usual = Role.weaker(actor.role, issuer.held_role)
    role = asked["client_user"].get("role", usual)
    try:
        return token_services.issue(
            by=actor,
            issuer=issuer,
            name=asked["name"],
            description=asked["description"] or "",
            role=role,
            expires_at=asked["exp_date"],
            scopes=scopes,
            allowed_addresses=asked["allowed_addresses"] or (),
            at=at,
        )
    except ValidationError as refusal:
        raise exceptions.ValidationError(_worded(refusal)) from refusal


def _own_scopes(actor: Actor) -> list[str] | None:
    """What a new token can do unless the request says: as much as the one that makes it."""
    return None if actor.scopes is None else sorted(actor.scopes)


def _issuer(user_id: int | None, actor: Actor) -> Membership:
    """The caller, or the service account with this id, if they may issue tokens for it."""
    assert actor.membership is not None
    if user_id is None or user_id == actor.membership.user_id:
        return actor.membership
    found = visible_to(actor).filter(membership__user=user_id) if is_id(user_id) else None
    service_account = found.first() if found is not None else None
    if service_account is None:
        sentence = "There is no such service account that you can issue API tokens for."
        raise exceptions.ValidationError({"issuer": [sentence]})
    return service_account.membership


def _edit(token: APIToken, asked: dict[str, Any], *, actor: Actor, at: datetime) -> APIToken:
    changes: editing.Changes = {}
    if "name" in asked:
        changes["name"] = asked["name"]
    if "description" in asked:
        changes["description"] = asked["description"] or ""
    if "exp_date" in asked:
        changes["expires_at"] = asked["exp_date"]
    if "scopes" in asked:
        changes["scopes"] = asked["scopes"]
    if "role" in asked.get("client_user", {}):
        changes["role"] = asked["client_user"]["role"]
    if "allowed_addresses" in asked:
        changes["allowed_addresses"] = asked["allowed_addresses"] or ()
    try:
        return editing.edit(token=token, changes=changes, by=actor, at=at)
    except ValidationError as refusal:
        raise exceptions.ValidationError(_worded(refusal)) from refusal


@sensitive_variables()
def _rotate(
    token: APIToken, asked: dict[str, Any], *, actor: Actor, at: datetime
) -> rotation.Rotated:
    try:
        return rotation.rotate(
            token=token,
            by=actor,
            at=at,
            grace=asked["old_secret_hours"],
            expires_at=asked.get("exp_date", rotation.KEEP),
            rotations=asked.get("rotations"),
        )
    except ValidationError as refusal:
        raise exceptions.ValidationError(_worded(refusal)) from refusal


def _worded(refusal: ValidationError) -> dict[str, Any]:
    """The refusal of the service, nested like the request."""
    errors = as_errors(refusal, FIELDS)
    if "role" in errors:
        errors["client_user"] = {"role": errors.pop("role")}
    return errors
