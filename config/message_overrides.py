"""Messages of Django and django-allauth that have translations of our own.

Their own translations speak to the reader less formally than ours, or are wrong. A catalogue of
ours comes first wherever it has the sentence; nothing imports this file.
"""

from django.utils.translation import gettext_noop

gettext_noop("Enter a valid email address.")
gettext_noop("Null characters are not allowed.")
gettext_noop("Successfully signed in as %(name)s.")
gettext_noop("Too many failed login attempts. Try again later.")
gettext_noop("You have signed out.")
