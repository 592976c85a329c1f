"""What calls about several tokens take alike."""

from typing import Any

from rest_framework import serializers

from accounts.api.serializers import IdField
from apitokens.tokens.rules import MOST_AT_ONCE


class TokenIdsField(serializers.ListField):
    """The IDs of the tokens of one request: at least one."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            child=IdField(), allow_empty=False, min_length=1, max_length=MOST_AT_ONCE, **options
        )
