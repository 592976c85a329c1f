"""Reports of errors leave the building without secrets."""

from apitokens import keys
from config.observability.sentry import _without_secrets


def test_token_is_hidden_in_keys_of_dictionaries_too() -> None:
    key = keys.make(730114528)
    event = {"extra": {key.spell("_"): {"inner": [key.spell()]}}, "level": "error"}

    told = _without_secrets(event, None)

    assert key.secret not in str(told)
    assert told["level"] == "error"
