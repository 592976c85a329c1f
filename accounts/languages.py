"""Maps the languages of the API to the translation catalogues of the portal."""

from django.conf import settings

# The API says `zh`; Django's catalogue for it is zh-hans.
_CATALOGUES = {"zh": "zh-hans"}


def catalogue_for(language: str) -> str:
    """The translation catalogue for a person's language; English where there is none yet."""
    code = _CATALOGUES.get(language, language)
    return code if code in dict(settings.LANGUAGES) else settings.LANGUAGE_CODE


def language_for(catalogue: str | None) -> str:
    """The API's name for the language of a catalogue: what a page was read in."""
    names = {code: language for language, code in _CATALOGUES.items()}
    return names.get(catalogue or "", catalogue or settings.LANGUAGE_CODE)
