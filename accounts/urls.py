from django.urls import path

from accounts.account import views as account
from accounts.all_users import views as all_users
from accounts.all_users.service_accounts import views as service_accounts
from accounts.appearance import views as appearance
from accounts.audit import views as audit
from accounts.invitations import views as invitations
from accounts.people import views as people
from accounts.service_accounts import views as contacts
from accounts.sign_in import security_views as security
from accounts.tenancy import views as tenancy
from accounts.users import views as users
from notifications import links  # noqa: F401  # the converter <secret:…>

app_name = "accounts"
_account = "accounts/<int:account_id>/"
_services = f"{_account}users/service-accounts/"
urlpatterns = [
    path("theme/", appearance.choose_theme, name="theme"),
    path("language/", appearance.choose_language, name="language"),
    path("profile/", users.profile, name="profile"),
    path("profile/email/", security.change_email, name="change_email"),
    path("profile/email/<secret:signed>/", security.confirm_email, name="confirm_email"),
    path("profile/security/sessions/end/", security.end_other_sessions, name="end_sessions"),
    path("profile/security/sessions/<int:pk>/end/", security.end_session, name="end_session"),
    path("invitations/<secret:signed>/", invitations.invitation, name="invitation"),
    path("contacts/<secret:signed>/", contacts.answer_contact, name="answer_contact"),
    path("accounts/new/", account.new_account, name="new_account"),
    path(_account, account.account, name="account"),
    path(f"{_account}leave/", account.leave, name="leave"),
    path(f"{_account}open/", tenancy.former_link, name="former_link"),
    path(f"{_account}audit-log/", audit.audit_log, name="audit_log"),
    path(f"{_account}audit-log.csv", audit.download, name="audit_log_file"),
    path(f"{_account}people/", people.find_people, name="find_people"),
    path(f"{_account}users/", all_users.list_people, name="people"),
    path(f"{_account}users/invite/", all_users.invite, name="invite"),
    path(f"{_services}", service_accounts.list_all, name="service_accounts"),
    path(f"{_services}new/", service_accounts.new, name="new_service_account"),
    path(f"{_services}<int:user_id>/", service_accounts.edit, name="edit_service_account"),
    path(
        f"{_services}<int:user_id>/switch/", service_accounts.switch, name="switch_service_account"
    ),
    path(
        f"{_services}<int:user_id>/ask/",
        service_accounts.ask_again,
        name="ask_contact_of_service_account",
    ),
    path(
        f"{_services}<int:user_id>/remove/", service_accounts.remove, name="remove_service_account"
    ),
    path(f"{_account}users/invitations/<int:pk>/send/", all_users.send_again, name="send_again"),
    path(f"{_account}users/invitations/<int:pk>/withdraw/", all_users.withdraw, name="withdraw"),
    path(f"{_account}users/<int:user_id>/role/", all_users.change_role, name="change_role"),
    path(f"{_account}users/<int:user_id>/remove/", all_users.remove, name="remove"),
]
