"""View decorator of the Administrators' pages of single sign-on."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from allauth.account.decorators import reauthentication_required
from django.core.exceptions import PermissionDenied
from django.http import HttpResponseBase
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.tenancy.decorators import MemberRequest, member_required

P = ParamSpec("P")
View = Callable[Concatenate[Any, P], HttpResponseBase]


def sso_administrator_required(
    *methods: str,
) -> Callable[[View[P]], Callable[..., HttpResponseBase]]:
    """Decorate a view that requires an Administrator with a recent reauthentication. Others get 403
    before they are asked to reauthenticate."""

    def decorate(view: View[P]) -> Callable[..., HttpResponseBase]:
        with_reauthentication = reauthentication_required(view)

        @wraps(view)
        def guarded(
            request: MemberRequest, /, *args: P.args, **kwargs: P.kwargs
        ) -> HttpResponseBase:
            if not request.actor.is_administrator_of(request.member.account_id):
                raise PermissionDenied(_("Only Administrators can manage single sign-on."))
            answer: HttpResponseBase = with_reauthentication(request, *args, **kwargs)
            return answer

        return require_http_methods(methods)(never_cache(member_required(guarded)))

    return decorate
