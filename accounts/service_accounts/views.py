"""View of the link that asks an address whether it wants to be the contact of a service account.
Opening it changes nothing: mail programs open links too."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.service_accounts import contacts
from accounts.sign_in.allauth_adapter import person


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def answer_contact(request: HttpRequest, signed: str) -> HttpResponse:
    """Ask, and take the answer, without a sign-in: the link proves access to the address."""
    answer = request.POST.get("answer")
    try:
        if answer not in ("yes", "no"):
            context = {"question": contacts.read(signed), "answer": ""}
            status = 400 if request.method == "POST" else 200
            return render(request, "accounts/contact/answer.html", context, status=status)
        question = contacts.answer(
            signed=signed, agrees=answer == "yes", by=person(None, request), at=timezone.now()
        )
    except contacts.BadLink:
        return render(request, "accounts/contact/bad_link.html", status=410)
    context = {"question": question, "answer": answer}
    return render(request, "accounts/contact/answer.html", context)
