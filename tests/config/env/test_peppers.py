"""The ring of peppers, as operators write it."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from config.env.peppers import parse_peppers

OLD, NEW = "0a" * 32, "f5" * 32


def test_single_pepper_is_read() -> None:
    assert parse_peppers(f"1:{OLD}") == {1: bytes.fromhex(OLD)}
    assert parse_peppers(f"1:{OLD.upper()}") == {1: bytes.fromhex(OLD)}


@pytest.mark.parametrize("between", [",", "\n", " , ", "\n\n", ", \n"])
def test_peppers_stand_between_commas_or_on_lines_of_their_own(between: str) -> None:
    assert parse_peppers(f"1:{OLD}{between}2:{NEW}\n") == {
        1: bytes.fromhex(OLD),
        2: bytes.fromhex(NEW),
    }


@pytest.mark.parametrize(
    ("text", "numbers"), [(f"2:{OLD},10:{NEW}", [2, 10]), (f"10:{NEW},2:{OLD}", [10, 2])]
)
def test_peppers_keep_the_order_in_which_they_are_listed(text: str, numbers: list[int]) -> None:
    assert list(parse_peppers(text)) == numbers


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        OLD,
        f"0:{OLD}",
        f"01:{OLD}",
        f"-1:{OLD}",
        f"12345:{OLD}",
        f"١:{OLD}",
        f"1:{OLD[:-1]}",
        f"1:{OLD}0",
        f"1:{'g' * 64}",
        f"1:{OLD},2:{OLD.upper()}",
        f"1:{OLD},1:{NEW}",
        f"1:{OLD},",
        f"1:{OLD};2:{NEW}",
    ],
)
def test_anything_else_is_refused_with_the_way_to_do_it_right(text: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="openssl rand -hex 32"):
        parse_peppers(text)


def test_refusal_does_not_repeat_a_pepper() -> None:
    with pytest.raises(ImproperlyConfigured) as refusal:
        parse_peppers(f"1:{OLD},1:{NEW}")

    assert OLD not in str(refusal.value)
    assert NEW not in str(refusal.value)
