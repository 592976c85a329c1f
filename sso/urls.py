"""The addresses of single sign-on. Providers know those below `saml/`: they stay as they are."""

from django.urls import path

from sso.views import absence, again, arriving, connection, leaving, testing

app_name = "sso"
_page = "profile/account/single-sign-on/"
urlpatterns = [
    path("sign-in/sso/<slug:slug>/", arriving.begin, name="begin"),
    path("saml/<slug:slug>/acs/", arriving.acs, name="acs"),
    path("saml/<slug:slug>/acs/finish/", arriving.finish, name="finish"),
    path("saml/<slug:slug>/metadata/", arriving.metadata, name="metadata"),
    path("saml/<slug:slug>/sign-out/", leaving.sign_out, name="sign_out"),
    path("saml/<slug:slug>/sls/", leaving.sls, name="sls"),
    path("sign-in/again/sso/", again.again, name="again"),
    path("sign-in/again/sso/ask/", again.ask_again, name="ask_again"),
    path(f"{_page}test/", testing.test, name="test"),
    path(f"{_page}test/result/", testing.tested, name="tested"),
    path(_page, connection.connection, name="connection"),
    path(f"{_page}set-up/", connection.set_up, name="set_up"),
    path(f"{_page}provider/", connection.provider, name="provider"),
    path(f"{_page}settings/", connection.settings, name="settings"),
    path(f"{_page}domains/", connection.ask_for_domain, name="ask_for_domain"),
    path(f"{_page}domains/<int:pk>/withdraw/", connection.withdraw_domain, name="withdraw_domain"),
    path(
        f"{_page}certificates/<int:pk>/remove/",
        connection.remove_certificate,
        name="remove_certificate",
    ),
    path(f"{_page}on/", connection.switch_on, name="switch_on"),
    path(f"{_page}off/", connection.switch_off, name="switch_off"),
    path(f"{_page}force/", connection.force, name="force"),
    path(f"{_page}stop-forcing/", connection.stop_forcing, name="stop_forcing"),
    path(f"{_page}absence/", absence.absence, name="absence"),
    path(f"{_page}remove/", connection.remove, name="remove"),
]
