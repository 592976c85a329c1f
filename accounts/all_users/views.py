"""Views of the page All users: members, invitations, and their management."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from allauth.account.decorators import reauthentication_required
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.all_users import listing as all_users
from accounts.authorization import token_hooks
from accounts.invitations import services as invitations
from accounts.invitations.forms import InvitationForm
from accounts.members import services as members
from accounts.members.forms import RemovalForm, RoleForm
from accounts.models import Membership
from accounts.roles import Role
from accounts.tenancy.decorators import MemberRequest, member_required
from accounts.validators import HIGHEST_ID

P = ParamSpec("P")
View = Callable[Concatenate[Any, P], HttpResponse]


def administrators_only(view: View[P]) -> View[P]:
    """Refuse all but Administrators, below `member_required` and before a password is asked for."""

    @wraps(view)
    def guarded(request: MemberRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if not request.actor.is_administrator_of(request.member.account_id):
            raise PermissionDenied(_("Only Administrators can manage the account's users."))
        return view(request, *args, **kwargs)

    return guarded


@require_safe
@never_cache
@member_required
def list_people(request: MemberRequest) -> HttpResponse:
    """The page All users; those who are no Administrators see themselves only."""
    context = all_users.listing(request.GET, actor=request.actor, at=timezone.now())
    status = 200 if context["filterset"].is_valid() else 400
    return render(request, "accounts/all_users.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@member_required
@administrators_only
def invite(request: MemberRequest) -> HttpResponse:
    """Invite a person by mail."""
    sent = request.POST if request.method == "POST" else None
    first_choices = {"language": request.user.language, "role": Role.USERS}
    form = InvitationForm(sent, initial=first_choices)
    if form.is_valid() and _is_invited(request, form):
        messages.success(
            request,
            _("An invitation has been sent to %(email)s. The link is valid for 24 hours.")
            % {"email": form.cleaned_data["email"]},
        )
        return redirect("accounts:people", account_id=request.member.account_id)
    status = 400 if form.errors else 200
    return render(request, "accounts/invite.html", {"form": form}, status=status)


@require_POST
@member_required
def send_again(request: MemberRequest, pk: int) -> HttpResponse:
    """Send an invitation again."""
    invitation = get_object_or_404(all_users.invitations_of(request.actor), pk=_clamped(pk))
    try:
        invitations.send_again(
            invitation=invitation,
            shown=request.POST.get("shown"),
            by=request.actor,
            at=timezone.now(),
        )
    except ValidationError as refusal:
        messages.error(request, " ".join(refusal.messages))
    else:
        messages.success(
            request,
            _("The invitation has been resent to %(email)s. The previous link no longer works.")
            % {"email": invitation.email},
        )
    return redirect("accounts:people", account_id=request.member.account_id)


@require_POST
@member_required
def withdraw(request: MemberRequest, pk: int) -> HttpResponse:
    """Withdraw an invitation."""
    invitation = get_object_or_404(all_users.invitations_of(request.actor), pk=_clamped(pk))
    by, at, shown = request.actor, timezone.now(), request.POST.get("shown")
    try:
        is_withdrawn = invitations.withdraw(invitation=invitation, shown=shown, by=by, at=at)
    except ValidationError as refusal:
        messages.error(request, " ".join(refusal.messages))
        return redirect("accounts:people", account_id=request.member.account_id)
    if is_withdrawn:
        messages.success(
            request, _("The invitation for %(email)s was withdrawn.") % {"email": invitation.email}
        )
    return redirect("accounts:people", account_id=request.member.account_id)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@member_required
@administrators_only
def change_role(request: MemberRequest, user_id: int) -> HttpResponse:
    """Give a user another role."""
    member = _member(request, user_id)
    sent = request.POST if request.method == "POST" else None
    form = RoleForm(sent, initial={"role": member.role})
    if form.is_valid() and _is_changed(request, member, form):
        messages.success(
            request,
            _("%(name)s now has the role %(role)s.")
            % {"name": member.user.get_full_name(), "role": member.held_role.label},
        )
        return redirect("accounts:people", account_id=request.member.account_id)
    status = 400 if form.errors else 200
    return render(
        request, "accounts/change_role.html", {"form": form, "who": member}, status=status
    )


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@member_required
@administrators_only
@reauthentication_required  # type: ignore[untyped-decorator]  # allauth has no types
def remove(request: MemberRequest, user_id: int) -> HttpResponse:
    """Remove a user, after a confirmation."""
    if request.method == "POST":
        members.wait_for_end(
            account_id=request.member.account_id, user_id=_clamped(user_id), by=request.actor
        )
    member, at = _member(request, user_id), timezone.now()
    form, refusal = RemovalForm(request.POST, leaving=member, at=at), ""
    if request.method == "POST":
        refusal = form.remove(member, by=request.actor, at=at)
        if not refusal:
            name = member.user.get_full_name()
            messages.success(request, _("%(name)s was removed.") % {"name": name})
            return redirect("accounts:people", account_id=request.member.account_id)
    context = all_users.listing(request.GET, actor=request.actor, at=at) | {
        "who": member,
        "tokens": token_hooks.counts(member.account_id, at, [member.pk]).get(member.pk, 0),
        "receivers": form.receivers,
        "shown": members.snapshot(member, at=at),
        "refusal": refusal,
    }
    return render(request, "accounts/remove_user.html", context, status=403 if refusal else 200)


def _is_invited(request: MemberRequest, form: InvitationForm) -> bool:
    """Invite; False if the service refuses, with its sentences at the fields of the form."""
    cleaned: dict[str, Any] = form.cleaned_data
    try:
        invitations.invite(
            account=request.member.account,
            email=cleaned["email"],
            role=cleaned["role"],
            name=cleaned["name"],
            language=cleaned["language"],
            by=request.actor,
            at=timezone.now(),
        )
    except ValidationError as refusal:
        form.add_error(None, refusal)
        return False
    return True


def _is_changed(request: MemberRequest, member: Membership, form: RoleForm) -> bool:
    """Change the role; False if the service refuses, with its sentence in the form."""
    role, by = form.cleaned_data["role"], request.actor
    try:
        members.change_role(membership=member, role=role, by=by, at=timezone.now())
    except PermissionDenied as refusal:
        form.add_error("role", str(refusal))
    except ValidationError as refusal:
        form.add_error(None, refusal)
    return not form.errors


def _member(request: MemberRequest, user_id: int) -> Membership:
    """A user of the account. Raises 404 for users of other accounts."""
    visible = all_users.visible_members(request.actor)
    return get_object_or_404(visible, user_id=_clamped(user_id))


def _clamped(number: int) -> int:
    """The id, at most the highest that a database can hold: addresses may name any number."""
    return min(number, HIGHEST_ID)
