"""The English that people read is plain: none of the words that sound translated."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from tests.languages import catalogues

PLAIN = {
    r"somebody|nobody|everybody|anybody|who(?:so)?ever": "someone, no one, everyone, anyone who",
    r"e-mails?|mail|mails|mailed": "email, emails",
    r"cannot|do not|does not|did not|could not": "can't, don't, doesn't, didn't, couldn't",
    r"switch(?:es|ed|ing)? (?:\w+ )?(?:on|off)": "turn on, turn off; a user is deactivated",
    r"refus\w*": "reject",
    r"forc(?:e|es|ed|ing)": "require",
    r"notices?": "notification",
    r"(?:is|are|was|were|be) told": "is notified",
    r"any more|no more": "no longer",
    r"at once|anew|once more|meanwhile|beside|just now": "immediately, again, in the meantime",
    r"good (?:for|once|until)|(?:is|are|not) good": "valid, can be used, invalid",
    r"tries": "attempts",
    r"ask(?:s|ed)? for": "request",
    r"looks? after": "manage",
    r"stays? away|come through|comes through": "no longer sign in, sign in through",
    r"let (?:it|the provider)": "configure it to, configure the provider to",
    r"brings? (?:the|new|its) metadata": "add or upload the metadata",
    r"sign(?:s|ed|ing)? in by single sign-on": "sign in through single sign-on",
    r"makes no sense|(?:is|are) not valid(?! yet)|anything worth": "invalid; optional",
    r"weaker (?:role|roles)": "a lower role",
}
"""Words that do not appear, and what is said instead."""

EXCEPTIONS = {
    "You do not have permission to delete this API token.": "as the API says it",
    "You do not have permission to edit this API token.": "as the API says it of deletion",
    "You do not have permission to rotate this API token.": "as the API says it of deletion",
    "just now": "when something was used",
    "Email is sent when someone tries to use your address for another user.": "the verb",
    "Passed to the mail server, waiting for a reply": "what such a server is called",
}


def not_plain(sentence: str) -> list[str]:
    return [
        f"{found[0]!r} in {sentence!r}: {better}"
        for words, better in PLAIN.items()
        if (found := re.search(rf"(?<![\w-])(?:{words})(?![\w-])", sentence, re.IGNORECASE))
    ]


def test_pages_and_emails_are_plain_english() -> None:
    sources = {
        sentence
        for entry in catalogues.entries(catalogues.LOCALES[0])
        for sentence in (entry.source, entry.plural)
    }
    assert EXCEPTIONS.keys() <= sources, "an exception that nothing needs"
    wrong = [each for source in sorted(sources - EXCEPTIONS.keys()) for each in not_plain(source)]
    assert wrong == []


@pytest.mark.django_db
def test_description_of_the_api_is_plain_english(client: Client) -> None:
    document = json.loads(client.get("/iam/openapi.json").content)
    texts = sorted(set(_texts(document)))
    assert len(texts) > 100
    assert [each for text in texts for each in not_plain(text)] == []


def _texts(part: Any) -> Iterator[str]:
    """The descriptions and summaries of an OpenAPI document, at any depth, but no examples."""
    if isinstance(part, list):
        for each in part:
            yield from _texts(each)
    elif isinstance(part, dict):
        for name, value in part.items():
            if name in ("description", "summary") and isinstance(value, str):
                yield value
            elif name not in ("example", "examples"):
                yield from _texts(value)
