"""Labels of the single sign-on events in the audit log."""

from django.utils.translation import gettext_lazy as _

from accounts.audit.labels import name_codes, name_details, name_events
from sso.saml.errors import REASONS

name_events(
    _("Single sign-on"),
    {
        "sso.set_up": _("Single sign-on setup started"),
        "sso.provider_changed": _("Identity provider changed"),
        "sso.settings_changed": _("Single sign-on settings changed"),
        "sso.certificate_removed": _("Certificate of the identity provider removed"),
        "sso.certificate_ending": _("Administrators notified that a certificate is expiring"),
        "sso.tested": _("Single sign-on tested"),
        "sso.switched_on": _("Single sign-on turned on"),
        "sso.switched_off": _("Single sign-on turned off"),
        "sso.forced": _("Single sign-on required for the email domains"),
        "sso.enforcement_disabled": _("Single sign-on no longer required"),
        "sso.idle_policy_changed": _("Rule about API tokens of inactive SSO users changed"),
        "sso.removed": _("Single sign-on removed"),
        "sso.domain_requested": _("Email domain requested"),
        "sso.domain_withdrawn": _("Email domain withdrawn"),
        "sso.domain_approved": _("Email domain approved"),
        "sso.domain_refused": _("Email domain rejected"),
        "sso.linked": _("User linked to their identity at the provider"),
        "sso.unlinked": _("User unlinked from their identity at the provider"),
        "sso.refused": _("Sign-in through the provider rejected"),
        "sso.bypassed": _("Signed in without the provider, although single sign-on is required"),
    },
)
name_details(
    {
        "certificates": _("Certificates"),
        "default_role": _("Role for new users"),
        "domain": _("Email domain"),
        "email_attribute": _("Email attribute"),
        "entity_id": _("Entity ID"),
        "fingerprint": _("SHA-256 fingerprint"),
        "name_id": _("Identity at the provider"),
        "may_make_administrators": _("New users can become Administrators"),
        "name_attribute": _("Name attribute"),
        "role_attribute": _("Role attribute"),
        "takes_new_people": _("Accepts new users"),
        "ends_at": _("Valid until"),
        "valid_until": _("Valid until"),
    }
)
name_codes("sso.refused", REASONS)
