"""Who has signed in, from where, and who has tried."""

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import api_view
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.pagination import PageSerializer, page
from accounts.api.schema import PEOPLE, SIGN_INS, UNAUTHENTICATED, answer, invalid
from accounts.api.serializers import (
    SIGN_IN_REFUSED,
    SIGNED_IN,
    SignInPageSerializer,
    SignInSerializer,
)
from accounts.api.views import actor_of
from accounts.audit.visibility import events_visible_to


@extend_schema(
    operation_id="list_sign_ins",
    summary="List sign-ins",
    description="Sign-ins and refused tries, newest first. Administrators see those of the "
    "account's users, others their own.",
    tags=[PEOPLE],
    parameters=[PageSerializer],
    responses={
        200: answer(SignInPageSerializer, "The sign-ins, newest first", SIGN_INS),
        400: invalid("A limit that makes no sense", limit=["A valid integer is required."]),
        401: UNAUTHENTICATED,
    },
)
@api_view(["GET"])
def sign_ins(request: Request) -> Response:
    events = (
        events_visible_to(actor_of(request))
        .filter(kind__in=[SIGNED_IN, SIGN_IN_REFUSED], subject_type="user")
        .newest_first()
    )

    def part(start: int, stop: int) -> list[dict[str, object]]:
        return [SignInSerializer(event).data for event in events[start:stop]]

    return Response(page(request, count=events.count(), part=part, key="result"))
