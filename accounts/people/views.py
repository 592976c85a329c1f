"""The people whom a combobox suggests."""

from django.http import HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.people.candidates import asked_among
from accounts.people.forms import LONGEST
from accounts.people.search import MOST_FOUND, label_of, meant_by
from accounts.tenancy.decorators import MemberRequest, member_required


@require_safe
@never_cache
@member_required
def find_people(request: MemberRequest) -> HttpResponse:
    """Members of the account, former ones too unless the address says among whom to look, by a part
    of their name or address: for its Administrators. Others find themselves."""
    text = request.GET.get("q", "").replace("\0", "")[:LONGEST]
    members = asked_among(request.GET, account_id=request.member.account_id)
    if not request.actor.is_administrator_of(request.member.account_id):
        members = members.filter(pk=request.member.pk)
    found = meant_by(text, members)[:MOST_FOUND]
    people = [
        {"id": str(each.user_id), "label": label_of(each), "role": each.held_role.label}
        for each in found
    ]
    return JsonResponse({"people": people})
