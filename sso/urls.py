"""URLs of single sign-on. Those below `saml/` are configured at providers: never change them."""

from django.urls import path

from sso.connections import views as connections
from sso.inactivity import views as inactivity
from sso.login import reauthentication_views as reauthentication
from sso.login import views as login
from sso.login.dry_run import views as dry_run
from sso.logout import views as logout
from sso.subjects import views as subjects

app_name = "sso"
_page = "accounts/<int:account_id>/single-sign-on/"
urlpatterns = [
    path("sign-in/sso/<slug:slug>/", login.begin, name="begin"),
    path("saml/<slug:slug>/acs/", login.acs, name="acs"),
    path("saml/<slug:slug>/acs/finish/", login.finish, name="finish"),
    path("saml/<slug:slug>/metadata/", login.metadata, name="metadata"),
    path("saml/<slug:slug>/sign-out/", logout.sign_out, name="sign_out"),
    path("saml/<slug:slug>/sls/", logout.sls, name="sls"),
    path("sign-in/again/sso/", reauthentication.reauthenticate, name="again"),
    path("sign-in/again/sso/ask/", reauthentication.redirect_to_provider, name="ask_again"),
    path(f"{_page}test/", dry_run.start_dry_run, name="test"),
    path(f"{_page}test/result/", dry_run.dry_run_result, name="tested"),
    path(_page, connections.connection, name="connection"),
    path(f"{_page}set-up/", connections.set_up, name="set_up"),
    path(f"{_page}provider/", connections.provider, name="provider"),
    path(f"{_page}settings/", connections.settings, name="settings"),
    path(f"{_page}domains/", connections.request_domain, name="ask_for_domain"),
    path(f"{_page}domains/<int:pk>/withdraw/", connections.withdraw_domain, name="withdraw_domain"),
    path(
        f"{_page}certificates/<int:pk>/remove/",
        connections.remove_certificate,
        name="remove_certificate",
    ),
    path(f"{_page}on/", connections.switch_on, name="switch_on"),
    path(f"{_page}off/", connections.switch_off, name="switch_off"),
    path(f"{_page}force/", connections.force, name="force"),
    path(f"{_page}stop-forcing/", connections.stop_forcing, name="stop_forcing"),
    path(f"{_page}absence/", inactivity.inactivity_policy, name="absence"),
    path(f"{_page}people/<int:user_id>/unlink/", subjects.unlink, name="unlink"),
    path(f"{_page}remove/", connections.remove, name="remove"),
]
