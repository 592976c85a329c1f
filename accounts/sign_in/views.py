"""View of the sign-in page: first the address, then the password or the identity provider."""

from allauth.account import views as account
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from accounts.authorization import sso_hooks
from accounts.http.redirects import safe_next
from accounts.sign_in.forms import AddressForm, SignInForm


@sensitive_post_parameters("password")
@never_cache
def sign_in(request: HttpRequest) -> HttpResponse:
    """Ask for the address, and go on to the provider of its domain or to the password. That reveals
    nothing about the user: all addresses of a domain lead the same way."""
    is_address = request.method == "POST" and "password" not in request.POST
    if is_address and not request.user.is_authenticated:
        return _second_step(request)
    answer: HttpResponse = account.login(request)
    return answer


def _second_step(request: HttpRequest) -> HttpResponse:
    form = AddressForm(request.POST)
    if not form.is_valid():
        return _page(request, form, status=400)
    email: str = form.cleaned_data["login"]
    path = None if request.POST.get("way") == "password" else sso_hooks.sign_in_path(email)
    if path is None:
        return _page(request, SignInForm(initial={"login": email}, request=request))
    wanted = safe_next(request, fallback="")
    if wanted:
        path = f"{path}?{urlencode({REDIRECT_FIELD_NAME: wanted})}"
    # The Content-Security-Policy lets no form lead to another site, not even by a redirect of ours:
    # the page goes on by itself.
    return render(request, "account/redirect_to_provider.html", {"redirect_url": path})


def _page(
    request: HttpRequest, form: AddressForm | SignInForm, *, status: int = 200
) -> HttpResponse:
    context = {
        "form": form,
        "redirect_field_name": REDIRECT_FIELD_NAME,
        "redirect_field_value": safe_next(request, fallback=""),
    }
    return render(request, "account/login.html", context, status=status)
