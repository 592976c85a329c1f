"""Labels of the single sign-on events in the audit log."""

from django.utils.translation import gettext_lazy as _

from accounts.audit.labels import name_codes, name_details, name_events
from sso.saml.errors import REASONS

name_events(
    _("Single sign-on"),
    {
        "sso.set_up": _("Single sign-on begun"),
        "sso.provider_changed": _("Identity provider changed"),
        "sso.settings_changed": _("Single sign-on settings changed"),
        "sso.certificate_removed": _("Certificate of the identity provider removed"),
        "sso.certificate_ending": _("Administrators told that a certificate ends"),
        "sso.tested": _("Single sign-on tested"),
        "sso.switched_on": _("Single sign-on switched on"),
        "sso.switched_off": _("Single sign-on switched off"),
        "sso.forced": _("Single sign-on forced for the e-mail domains"),
        "sso.enforcement_disabled": _("Single sign-on no longer forced"),
        "sso.idle_policy_changed": _("Rule about API tokens of people who stay away changed"),
        "sso.removed": _("Single sign-on removed"),
        "sso.domain_requested": _("E-mail domain asked for"),
        "sso.domain_withdrawn": _("E-mail domain withdrawn"),
        "sso.domain_approved": _("E-mail domain approved"),
        "sso.domain_refused": _("E-mail domain refused"),
        "sso.linked": _("User linked with their name at the provider"),
        "sso.unlinked": _("User unlinked from their name at the provider"),
        "sso.refused": _("Sign-in through the provider refused"),
        "sso.bypassed": _("Signed in without the provider, though it is forced"),
    },
)
name_details(
    {
        "certificates": _("Certificates"),
        "default_role": _("Role of new people"),
        "domain": _("E-mail domain"),
        "email_attribute": _("Attribute for the e-mail"),
        "entity_id": _("Entity ID"),
        "fingerprint": _("SHA-256 fingerprint"),
        "name_id": _("Name at the provider"),
        "may_make_administrators": _("New people may become Administrators"),
        "name_attribute": _("Attribute for the name"),
        "role_attribute": _("Attribute for the role"),
        "takes_new_people": _("Takes new people"),
        "valid_until": _("Valid until"),
    }
)
name_codes("sso.refused", REASONS)
