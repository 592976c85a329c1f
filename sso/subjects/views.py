"""View of the confirmation that unlinks a person from the provider."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.all_users import listing as all_users
from accounts.http.concurrent_edits import CHANGED
from accounts.tenancy.decorators import MemberRequest
from accounts.validators import HIGHEST_ID
from sso.connections.decorators import sso_administrator_required
from sso.models import Subject
from sso.subjects import services as subjects


@sso_administrator_required("GET", "HEAD", "POST")
def unlink(request: MemberRequest, user_id: int) -> HttpResponse:
    """Unlink a member, after a confirmation."""
    linked = Subject.objects.filter(connection__account=request.member.account_id)
    subject = get_object_or_404(
        linked.select_related("membership__user", "membership__account"),
        membership__user=min(user_id, HIGHEST_ID),
    )
    member, at = subject.membership, timezone.now()
    if request.method == "POST":
        try:
            subjects.unlink_member(
                membership=member, shown=request.POST.get("shown"), by=request.actor, at=at
            )
        except ValidationError as refusal:
            messages.error(request, " ".join(refusal.messages))
            if getattr(refusal, "code", "") == CHANGED:
                return redirect(request.path)
        else:
            name = member.user.get_full_name()
            messages.success(request, _("%(name)s is no longer linked.") % {"name": name})
        return redirect("accounts:people", account_id=request.member.account_id)
    context = all_users.listing(request.GET, actor=request.actor, at=at)
    context |= {"who": member, "subject": subject, "shown": subjects.snapshot(subject)}
    return render(request, "sso/unlink.html", context)
