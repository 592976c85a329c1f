"""The caller and their account."""

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import api_view
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.actors import Actor
from accounts.api.serializers import AccountSerializer, CurrentUserSerializer
from accounts.models import Membership


def actor_of(request: Request) -> Actor:
    """Who calls; every authentication class of the API leaves it in `request.auth`."""
    assert isinstance(request.auth, Actor)
    return request.auth


def caller(request: Request) -> Membership:
    """The member in whose name the call is made."""
    membership = actor_of(request).membership
    assert membership is not None
    return membership


@extend_schema(
    operation_id="get_account",
    summary="Get my account",
    description="Facts of the account that the API token belongs to. Administrators also get all "
    "its users, others themselves.",
    tags=["Account and users"],
    responses=AccountSerializer,
)
@api_view(["GET"])
def my_account(request: Request) -> Response:
    member, actor = caller(request), actor_of(request)
    present = Membership.objects.present().filter(account_id=member.account_id)
    members = list(present.select_related("user", "account").order_by("pk"))
    sees_all = actor.is_administrator_of(member.account_id)
    visible = members if sees_all else [each for each in members if each.pk == member.pk]
    context = {"member": member, "members": members, "visible": visible}
    return Response(AccountSerializer(member.account, context=context).data)


@extend_schema(
    operation_id="get_current_user",
    summary="Get myself",
    description="The user in whose name the API token acts, and their role in its account.",
    tags=["Account and users"],
    responses=CurrentUserSerializer,
)
@api_view(["GET"])
def my_user(request: Request) -> Response:
    # A token belongs to one account, and tells its holder nothing of the issuer's others.
    member = caller(request)
    return Response(CurrentUserSerializer(member, context={"memberships": [member]}).data)
