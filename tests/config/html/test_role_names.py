"""Names of roles are English on pages of other languages."""

from django.contrib.messages import constants
from django.contrib.messages.storage.base import Message
from django.utils.safestring import mark_safe
from django.utils.translation import override

from config.html.role_names import role_names


def test_names_of_roles_say_that_they_are_english() -> None:
    with override("ru"):
        assert role_names("роль Users.") == 'роль <span lang="en">Users</span>.'
        whole = "Purge and Prefetch only (API+Web)"
        assert role_names(whole) == f'<span lang="en">{whole}</span>'
        assert role_names("Usersson, Superusers") == "Usersson, Superusers"


def test_text_is_escaped_once() -> None:
    with override("ru"):
        assert role_names("<b>Users</b>") == ('&lt;b&gt;<span lang="en">Users</span>&lt;/b&gt;')
        safe = mark_safe("<b>A</b>")
        assert role_names(safe) == safe


def test_message_that_is_html_stays_html() -> None:
    message = Message(constants.INFO, mark_safe("<b>A</b>"))
    for language in ("en", "ru"):
        with override(language):
            assert role_names(message) == "<b>A</b>"
            assert role_names(Message(constants.INFO, "<b>")) == "&lt;b&gt;"


def test_english_pages_stay_as_they_are() -> None:
    with override("en"):
        assert role_names("A <b> Users") == "A &lt;b&gt; Users"
