"""Every catalogue is whole, faithful to its source, and compiled."""

import re
from itertools import chain

import pytest
from django.conf import settings
from django.utils.translation import to_locale

from accounts.models import Language
from accounts.users.forms import language_choices
from tests.languages import catalogues
from tests.languages.catalogues import Entry
from tests.languages.sources import all_sources, in_python, in_template

every_locale = pytest.mark.parametrize("locale", catalogues.LOCALES)

_PLACEHOLDER = re.compile(r"%(?:\(\w+\))?[#0+ -]*\d*(?:\.\d+)?[a-zA-Z%]")
_MARKUP = re.compile(r"<code>.*?</code>|</?\w+>")
ENDS = {".": ".。", ":": ":：", "?": "?？"}
FORMS = {"de": 2, "ru": 3, "zh_Hans": 1, "az": 2}


def of(locale: str) -> list[Entry]:
    return catalogues.entries(locale)


def test_every_language_that_people_may_choose_has_a_catalogue() -> None:
    offered = {to_locale(code) for code, _name in settings.LANGUAGES}
    assert offered == {"en", *catalogues.LOCALES}
    assert [code for code, _name in language_choices()] == Language.values


def test_languages_have_the_same_names_in_settings_and_profile() -> None:
    assert [name for _code, name in settings.LANGUAGES] == Language.labels


@every_locale
def test_nothing_is_left_to_translate(locale: str) -> None:
    empty = [entry.source for entry in of(locale) if not all(entry.texts)]
    unsure = [entry.source for entry in of(locale) if "fuzzy" in entry.flags]
    assert (empty, unsure) == ([], [])


@every_locale
def test_nothing_obsolete_stays(locale: str) -> None:
    lines = catalogues.path_of(locale, ".po").read_text().splitlines()
    assert [line for line in lines if line.startswith("#~")] == []


@every_locale
def test_every_string_of_the_code_is_in_the_catalogue(locale: str) -> None:
    known = {entry.key for entry in of(locale)}
    missing = [f"{each.place}: {each.source}" for each in all_sources() if each.key not in known]
    assert missing == [], "make messages finds them; then translate"


@every_locale
def test_every_plural_of_the_code_is_in_the_catalogue(locale: str) -> None:
    known = {(*entry.key, entry.plural) for entry in of(locale) if entry.plural}
    assert {(*each.key, each.plural) for each in all_sources() if each.plural} == known


@every_locale
def test_the_catalogue_has_nothing_that_the_code_does_not_ask_for(locale: str) -> None:
    asked = {each.key for each in all_sources()}
    assert [entry.source for entry in of(locale) if entry.key not in asked] == []


@every_locale
def test_each_entry_is_there_once(locale: str) -> None:
    keys = [entry.key for entry in of(locale)]
    assert len(keys) == len(set(keys))


@every_locale
def test_placeholders_are_those_of_the_source(locale: str) -> None:
    wrong = [
        (entry.source, text)
        for entry in of(locale)
        if not entry.plural
        for text in entry.texts
        if sorted(_PLACEHOLDER.findall(text)) != sorted(_PLACEHOLDER.findall(entry.source))
    ]
    assert wrong == []


@every_locale
def test_plurals_say_the_number(locale: str) -> None:
    """Each form has the placeholders of the plural; only the form for 1 alone may leave some out.
    (Gettext compiles none that has others.)"""
    for entry in of(locale):
        if entry.plural:
            wanted = sorted(_PLACEHOLDER.findall(entry.plural))
            first, *others = (sorted(_PLACEHOLDER.findall(text)) for text in entry.texts)
            is_alone = FORMS[locale] == 2 and set(first) <= set(wanted)
            assert is_alone or first == wanted, entry.source
            assert all(other == wanted for other in others), entry.source


@every_locale
def test_plurals_have_every_form_of_the_language(locale: str) -> None:
    assert f"nplurals={FORMS[locale]};" in catalogues.header(locale)
    short = [
        entry.source for entry in of(locale) if entry.plural and len(entry.texts) != FORMS[locale]
    ]
    assert short == []


@every_locale
def test_markup_is_that_of_the_source(locale: str) -> None:
    wrong = [
        (entry.source, text)
        for entry in of(locale)
        for text in entry.texts
        if sorted(_MARKUP.findall(text)) != sorted(_MARKUP.findall(entry.source))
        or text.count("<") != entry.source.count("<")
    ]
    assert wrong == []


@every_locale
def test_sentences_end_as_sentences(locale: str) -> None:
    wrong = [
        (entry.source, text)
        for entry in of(locale)
        for text in entry.texts
        if not entry.context and text[-1] not in ENDS.get(entry.source[-1], text[-1])
    ]
    assert wrong == []


@every_locale
def test_no_text_begins_or_ends_with_a_space(locale: str) -> None:
    texts = chain.from_iterable(entry.texts for entry in of(locale))
    assert [text for text in texts if text != text.strip()] == []


@every_locale
def test_the_compiled_catalogue_is_the_translated_one(locale: str) -> None:
    assert catalogues.compiled(locale) == catalogues.as_compiled(locale), "run: make messages"


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ('from django.utils.translation import gettext as _\n_("One " "two")', "One two"),
        ('from django.utils.translation import gettext_lazy as _t\n_t("Three")', "Three"),
        ('from django.utils import translation\ntranslation.gettext("Four")', "Four"),
    ],
)
def test_strings_are_found_in_python(code: str, found: str) -> None:
    assert [each.source for each in in_python(code, "a.py")] == [found]


def test_a_function_of_the_same_name_is_not_taken_for_gettext() -> None:
    assert list(in_python('_ = print\n_("Nothing")', "a.py")) == []


def test_a_computed_string_is_refused() -> None:
    code = "from django.utils.translation import gettext as _\n_(name)"
    with pytest.raises(AssertionError, match=r"a\.py, line 2"):
        list(in_python(code, "a.py"))


@pytest.mark.parametrize(
    ("template", "found"),
    [
        ('{% translate "One" %}', ("", "One", "")),
        ('{% translate "j M" context "date format" as it %}', ("date format", "j M", "")),
        ('{{ name|default:_("Two") }}', ("", "Two", "")),
        ("{% blocktranslate trimmed %}\n a\n b\n{% endblocktranslate %}", ("", "a b", "")),
        (
            "{% blocktranslate count n=n %}{{ n }} x{% plural %}{{ n }} y{% endblocktranslate %}",
            ("", "%(n)s x", "%(n)s y"),
        ),
    ],
)
def test_strings_are_found_in_templates(template: str, found: tuple[str, str, str]) -> None:
    assert [each[:3] for each in in_template("{% load i18n %}" + template, "a.html")] == [found]
