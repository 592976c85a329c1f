"""Services with their scopes: the calls, their shapes and their description."""

from collections.abc import Callable
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    extend_schema_serializer,
    extend_schema_view,
)
from rest_framework import exceptions, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.errors import NotFound, as_errors
from accounts.api.pagination import LIMIT_PARAMETER, OFFSET_PARAMETER, whole_or_page
from accounts.api.schema import (
    ACCOUNT_ID,
    NO_ACCOUNT,
    UNAUTHENTICATED,
    invalid,
    listed,
    refusal,
)
from accounts.api.serializers import LINE, TextField
from accounts.api.views import actor_of, caller
from accounts.languages import catalogue_for, language_for
from apitokens.api.views import AccountView
from apitokens.models import CODE, LONGEST_CODE, Scope, Service
from apitokens.scopes import services
from apitokens.scopes.services import MOST_SCOPES, ScopeFacts

TAG = "Services and scopes"
_SERVICE: dict[str, Any] = {
    "code": "cdn",
    "name": "Content delivery",
    "scopes": [
        {"code": "purge", "name": "Purge the cache", "names": {"de": "Cache leeren"}},
        {"code": "read", "name": "Read the configuration", "names": {}},
    ],
}
_CODE = OpenApiParameter(
    "code", str, OpenApiParameter.PATH, description="The service's code, such as cdn."
)
_PAGE = [LIMIT_PARAMETER, OFFSET_PARAMETER]
_NO_SERVICE = refusal("No such service of the account", message="Service not found.")
_FORBIDDEN = refusal("Not permitted", message="Only Administrators can manage services.")
_INVALID = invalid(
    "The request is invalid", code=["The portal itself uses this code. Choose another one."]
)


class NamesField(serializers.DictField):
    """A name in other languages of the portal, by the API's codes of these."""

    LANGUAGES = [language_for(catalogue) for catalogue in services.LANGUAGES]
    default_error_messages = {
        "unknown": f"Name languages by their codes. The portal has: {', '.join(LANGUAGES)}."
    }

    def __init__(self, **facts: Any) -> None:
        super().__init__(child=TextField(max_length=100, characters=LINE), **facts)

    def to_internal_value(self, data: Any) -> dict[str, str]:
        if isinstance(data, dict) and not data.keys() <= set(self.LANGUAGES):
            self.fail("unknown")
        return {catalogue_for(each): name for each, name in super().to_internal_value(data).items()}

    def to_representation(self, value: dict[str, str]) -> dict[str, str]:
        return {language_for(catalogue): name for catalogue, name in value.items()}


class NamesFieldSchema(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    target_class = NamesField

    def map_serializer_field(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        name = auto_schema._map_serializer_field(self.target.child, direction)
        return {
            "type": "object",
            "description": "The name in other languages of the portal, for those who read it in "
            "them. Left out, it stays as it is; an empty object takes all away.",
            "properties": dict.fromkeys(self.target.LANGUAGES, name),
            "additionalProperties": False,
        }


class ScopeSerializer(serializers.Serializer[Scope]):
    """What a service lets a token do: the part of a scope after the colon, and what it means."""

    code = TextField(max_length=LONGEST_CODE, whole=CODE)
    name = TextField(max_length=100, characters=LINE)
    names = NamesField()


@extend_schema_serializer(component_name="Scope")
class SentScopeSerializer(ScopeSerializer):
    """The same in a request, where `names` may be left out."""

    names = NamesField(required=False)


class ServiceSerializer(serializers.Serializer[Service]):
    """A service. `shared` says that an operator has registered it for all accounts."""

    code = serializers.CharField()
    name = serializers.CharField()
    names = NamesField()
    scopes = ScopeSerializer(many=True, source="scopes.all")
    shared = serializers.SerializerMethodField()

    def get_shared(self, service: Service) -> bool:
        return service.account_id is None


class ServicePageSerializer(serializers.Serializer[Any]):
    """A part of a list of services. `next` and `previous` are paths, or null at the ends."""

    count = serializers.IntegerField()
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    results = ServiceSerializer(many=True)


class EditedServiceSerializer(serializers.Serializer[Any]):
    """The name of a service, and all of its scopes: others are removed."""

    name = TextField(max_length=100, characters=LINE)
    names = NamesField(required=False)
    scopes = serializers.ListField(
        child=SentScopeSerializer(),
        min_length=1,
        max_length=MOST_SCOPES,
        error_messages={"min_length": "Enter at least one scope."},
    )


class NewServiceSerializer(EditedServiceSerializer):
    """A service to register. Its code can't be changed later."""

    code = TextField(max_length=LONGEST_CODE, whole=CODE)


def _described(name: str, summary: str, body: Any = None, **answers: Any) -> Any:
    examples = [OpenApiExample("A service", {**_SERVICE}, request_only=True)] if body else []
    return extend_schema(
        operation_id=name,
        summary=summary,
        description="For Administrators."
        if name != "list_services"
        else "Those of the account, and those that operators have registered for all accounts. "
        "With limit or offset, the response is one page; without, an array of all of them.",
        tags=[TAG],
        parameters=[ACCOUNT_ID, *_PAGE] if name == "list_services" else [ACCOUNT_ID],
        request=body,
        examples=examples,
        responses={**answers.pop("more", {}), 401: UNAUTHENTICATED, **answers},
    )


_ONE = OpenApiResponse(ServiceSerializer, "The service, as it is now")
_GONE = OpenApiResponse(description="Removed")
_CHANGES = {400: _INVALID, 403: _FORBIDDEN}


@extend_schema_view(
    get=_described(
        "list_services",
        "List services and their scopes",
        more={
            200: listed(
                "ServiceList",
                ServiceSerializer,
                ServicePageSerializer,
                "By code",
                {**_SERVICE, "names": {}, "shared": False},
            ),
            400: invalid("Invalid limit", limit=["A valid integer is required."]),
            404: NO_ACCOUNT,
        },
    ),
    post=_described(
        "register_service",
        "Register a service",
        NewServiceSerializer,
        more={200: _ONE, **_CHANGES, 404: NO_ACCOUNT},
    ),
)
class Services(AccountView):
    def get(self, request: Request, client_id: int) -> HttpResponse:
        found = Service.objects.known_in(client_id)

        def part(start: int, stop: int) -> list[Any]:
            return [ServiceSerializer(each).data for each in found[start:stop]]

        return whole_or_page(request, count=found.count(), part=part)

    def post(self, request: Request, client_id: int) -> Response:
        _administrators_only(request, client_id)
        asked = _valid(NewServiceSerializer(data=request.data))
        made = _worded(
            services.register, account=caller(request).account, by=actor_of(request), **asked
        )
        return Response(ServiceSerializer(made).data)


@extend_schema_view(
    put=_described(
        "edit_service",
        "Edit a service and its scopes",
        EditedServiceSerializer,
        more={200: _ONE, **_CHANGES, 404: _NO_SERVICE},
    ),
    delete=_described(
        "remove_service",
        "Remove a service with its scopes",
        more={204: _GONE, **_CHANGES, 404: _NO_SERVICE},
    ),
)
@extend_schema(parameters=[_CODE])
class OneService(AccountView):
    def put(self, request: Request, client_id: int, code: str) -> Response:
        service = _find(request, client_id, code)
        asked = _valid(EditedServiceSerializer(data=request.data))
        edited = _worded(services.edit, service=service, by=actor_of(request), **asked)
        return Response(ServiceSerializer(edited).data)

    def delete(self, request: Request, client_id: int, code: str) -> Response:
        service = _find(request, client_id, code)
        _worded(services.remove, service=service, by=actor_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


def _administrators_only(request: Request, account_id: int) -> None:
    """Before what was sent is looked at."""
    if not services.may_manage(actor_of(request), account_id):
        raise PermissionDenied("Only Administrators can manage services.")


def _find(request: Request, account_id: int, code: str) -> Service:
    _administrators_only(request, account_id)
    found = Service.objects.of(account_id).filter(code=code).first()
    if found is None:
        raise NotFound("Service not found.")
    return found


def _valid(asked: serializers.Serializer[Any]) -> dict[str, Any]:
    asked.is_valid(raise_exception=True)
    facts: dict[str, Any] = {**asked.validated_data}
    facts["scopes"] = [ScopeFacts(**each) for each in facts["scopes"]]
    return facts


def _worded(change: Callable[..., Any], **facts: Any) -> Any:
    try:
        return change(at=timezone.now(), **facts)
    except ValidationError as refused:
        raise exceptions.ValidationError(as_errors(refused)) from refused
