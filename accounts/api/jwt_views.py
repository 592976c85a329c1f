"""Views of the standard authorization (JWT): sign in, refresh, switch to another account."""

from django.utils import timezone
from django.views.decorators.debug import sensitive_variables
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import api_view, authentication_classes, permission_classes
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import authentication
from accounts.api.errors import NotFound
from accounts.api.schema import (
    ACCOUNT_ID,
    AUTHORIZATION,
    NO_ACCOUNT,
    PAIR,
    TOO_BUSY,
    TOO_MANY,
    UNAUTHENTICATED,
    answer,
    example,
    invalid,
    refusal,
)
from accounts.api.serializers import TextField
from accounts.api.views import actor_of
from accounts.http.client_ip import client_address
from accounts.jwt import token_families
from accounts.jwt.tokens import Invalid, Pair
from accounts.sign_in.allauth_adapter import user_agent
from accounts.sign_in.jwt_login import sign_in
from accounts.text.passwords import LONGEST_PASSWORD


class CredentialsSerializer(serializers.Serializer[None]):
    username = TextField(max_length=254, help_text="Your email address.")
    password = TextField(
        max_length=LONGEST_PASSWORD,
        trim_whitespace=False,
        help_text="As entered in the portal.",
    )
    one_time_password = TextField(
        max_length=64,
        required=False,
        allow_blank=True,
        allow_null=True,
        default="",
        help_text=(
            "With two-factor authentication: a code from your authenticator app, or a "
            "recovery code."
        ),
    )


class RefreshSerializer(serializers.Serializer[None]):
    refresh = TextField(required=False, help_text="The refresh token of the latest pair.")
    token = TextField(
        required=False, help_text=("The same call under the path used by older clients.")
    )

    def validate(self, attrs: dict[str, str]) -> dict[str, str]:
        if not attrs:
            raise serializers.ValidationError({"refresh": ["This field is required."]})
        return attrs


class PairSerializer(serializers.Serializer[Pair]):
    access = serializers.CharField(help_text="Valid for an hour.")
    refresh = serializers.CharField(help_text="Valid for a day; can be used once.")


NO_REFRESH = refusal(
    "The refresh token is invalid or has already been used", message=authentication.ENDED
)


@extend_schema(
    operation_id="sign_in",
    summary="Sign in",
    description="A pair of tokens for the first of your accounts. Send the access token in the "
    "header Authorization: Bearer <access token>, wherever an API token would work. "
    "Both are revoked immediately when your password changes or you are removed from "
    "the account.",
    tags=[AUTHORIZATION],
    auth=[],
    request=CredentialsSerializer,
    examples=[
        example(
            "Sign-in",
            {
                "username": "maria@example.com",
                "password": "swim marble tuesday copper",
                "one_time_password": "123456",
            },
        )
    ],
    responses={
        200: answer(PairSerializer, "A pair of tokens", PAIR),
        400: invalid(
            "Wrong credentials, or a one-time code is required",
            errors=["No active account found with the given credentials."],
        ),
        429: TOO_MANY,
        503: TOO_BUSY,
    },
)
@api_view(["POST"])
@authentication_classes([])
@permission_classes([])
@sensitive_variables()
def login(request: Request) -> Response:
    serializer = CredentialsSerializer(data=request.data)
    serializer.is_valid(raise_exception=True)
    pair = sign_in(
        email=serializer.validated_data["username"],
        password=serializer.validated_data["password"],
        one_time_password=serializer.validated_data["one_time_password"] or "",
        at=timezone.now(),
        address=client_address(request._request),
        user_agent=user_agent(request._request),
    )
    return Response(pair._asdict())


@extend_schema(
    operation_id="refresh_tokens",
    summary="Refresh my tokens",
    description="Exchanges a refresh token for a new pair. Each works once: if one is used "
    "twice, it may have been copied, and all tokens from that sign-in are revoked.",
    tags=[AUTHORIZATION],
    auth=[],
    request=RefreshSerializer,
    examples=[example("Refreshing", {"refresh": "<refresh token>"})],
    responses={
        200: answer(PairSerializer, "A pair of tokens", PAIR),
        400: invalid("No refresh token was sent", refresh=["This field is required."]),
        401: NO_REFRESH,
        429: TOO_MANY,
    },
)
@api_view(["POST"])
@authentication_classes([])
@permission_classes([])
@sensitive_variables()
def refresh(request: Request) -> Response:
    serializer = RefreshSerializer(data=request.data)
    serializer.is_valid(raise_exception=True)
    presented = serializer.validated_data.get("refresh") or serializer.validated_data["token"]
    address = client_address(request._request)
    try:
        pair = token_families.refresh(presented=presented, at=timezone.now(), address=address)
    except Invalid as invalid:
        raise authentication.refused(address, is_guess=invalid.is_guess) from None
    return Response(pair._asdict())


@extend_schema(
    operation_id="sign_in_to_account",
    summary="Change to another account",
    description="A pair of tokens for another of your accounts. Works with an access token, but "
    "not with an API token, which belongs to one account.",
    tags=[AUTHORIZATION],
    auth=[{"Bearer": []}],  # type: ignore[list-item]  # copied as it is; the hint is wrong
    parameters=[ACCOUNT_ID],
    responses={
        200: answer(PairSerializer, "A pair of tokens", PAIR),
        401: UNAUTHENTICATED,
        403: refusal(
            "Called with an API token, or your account allows only single sign-on",
            message="Only short-lived tokens can be exchanged for tokens of another account.",
        ),
        404: NO_ACCOUNT,
    },
)
@api_view(["GET"])
@sensitive_variables()
def login_to_account(request: Request, client_id: int) -> Response:
    try:
        pair = token_families.switch(account_id=client_id, by=actor_of(request), at=timezone.now())
    except token_families.NoSuchAccount:
        raise NotFound("Account not found.") from None
    return Response(pair._asdict())
