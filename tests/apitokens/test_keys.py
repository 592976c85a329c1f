"""Tokens as text: the delicate part, tested exhaustively."""

import base64
import hmac
import itertools
import pickle
import traceback
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from apitokens import keys
from apitokens.keys import Damage, Key, Malformed

HEX = "0123456789abcdef"
SEPARATORS = ("$", "_")
HIGHEST = 2**63 - 1
# Everything a damaged token may have in place of one of its characters: its own alphabet, other
# cases, look-alikes, blanks, and digits that `str.isdigit` takes for digits.
OTHERS = HEX + "ABCDEFgOoIl$_-:. \t\n\0é٣３"

ids = st.integers(min_value=1, max_value=HIGHEST)
secrets = st.text(HEX, min_size=64, max_size=64)
some_keys = st.builds(Key, id=ids, secret=secrets)
separators = st.sampled_from(SEPARATORS)

EXAMPLE = Key(771142358, "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")
PEPPER = bytes(range(32))


def damage_of(text: str) -> Damage:
    with pytest.raises(Malformed) as refused:
        keys.parse(text)
    return refused.value.damage


def test_new_secret_has_256_bits_in_hexadecimal() -> None:
    assert len(bytes.fromhex(keys.make(1).secret)) == 32


def test_secret_comes_from_the_operating_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apitokens.keys.secrets.token_hex", lambda size: "ab" * size)
    assert keys.make(1).secret == "ab" * 32


def test_no_two_new_secrets_are_alike() -> None:
    assert len({keys.make(1).secret for _each in range(1000)}) == 1000


@pytest.mark.parametrize("token_id", [1, 2**63 - 1])
def test_key_is_made_for_every_id_that_a_row_can_have(token_id: int) -> None:
    assert keys.make(token_id).id == token_id


@pytest.mark.parametrize("token_id", [-1, 0, 2**63])
def test_no_key_is_made_for_an_id_that_no_row_can_have(token_id: int) -> None:
    with pytest.raises(ValueError, match="positive 64-bit"):
        keys.make(token_id)


@given(some_keys, separators)
def test_both_spellings_are_read_back(key: Key, separator: keys.Separator) -> None:
    assert keys.parse(key.spell(separator)) == key


@given(some_keys)
def test_both_spellings_differ_in_the_separator_alone(key: Key) -> None:
    assert key.spell("$").replace("$", "_") == key.spell("_")


def test_portal_spelling_is_the_one_with_the_dollar() -> None:
    assert EXAMPLE.spell() == EXAMPLE.spell("$")


@given(some_keys, separators)
def test_no_token_is_longer_than_the_longest(key: Key, separator: keys.Separator) -> None:
    assert len(key.spell(separator)) <= keys.LONGEST


def test_token_of_the_highest_id_has_just_the_longest_length() -> None:
    assert len(Key(HIGHEST, EXAMPLE.secret).spell()) == keys.LONGEST


@pytest.mark.parametrize("separator", SEPARATORS)
def test_every_single_wrong_character_is_refused(separator: keys.Separator) -> None:
    token = EXAMPLE.spell(separator)
    for place, right in enumerate(token):
        for other in OTHERS:
            if other != right and {other, right} != set(SEPARATORS):
                assert damage_of(token[:place] + other + token[place + 1 :])


@given(some_keys, separators, st.data())
def test_any_single_wrong_character_in_any_token_is_refused(
    key: Key, separator: keys.Separator, data: st.DataObject
) -> None:
    token = key.spell(separator)
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters())
    assume(other != token[place] and {other, token[place]} != set(SEPARATORS))
    assert damage_of(token[:place] + other + token[place + 1 :])


@pytest.mark.parametrize("separator", SEPARATORS)
def test_every_single_missing_character_is_refused(separator: keys.Separator) -> None:
    token = EXAMPLE.spell(separator)
    for place in range(len(token)):
        assert damage_of(token[:place] + token[place + 1 :])


@pytest.mark.parametrize("separator", SEPARATORS)
def test_every_single_additional_character_is_refused(separator: keys.Separator) -> None:
    token = EXAMPLE.spell(separator)
    for place in range(len(token) + 1):
        for other in OTHERS:
            assert damage_of(token[:place] + other + token[place:])


@given(some_keys, separators)
def test_every_swap_of_neighbours_is_refused(key: Key, separator: keys.Separator) -> None:
    token = key.spell(separator)
    for place in range(len(token) - 1):
        first, second = token[place], token[place + 1]
        if first != second:
            assert damage_of(token[:place] + second + first + token[place + 2 :])


@pytest.mark.parametrize("separator", SEPARATORS)
def test_token_cut_at_either_end_is_refused(separator: keys.Separator) -> None:
    token = EXAMPLE.spell(separator)
    for place in range(1, len(token)):
        assert damage_of(token[:place])
        assert damage_of(token[place:])


@given(some_keys, some_keys)
def test_id_of_one_token_with_the_secret_of_another_is_refused(one: Key, other: Key) -> None:
    assume(one.id != other.id and keys.checksum(one.id, other.secret) != other.spell()[-8:])
    assert damage_of(f"{one.id}${other.spell().partition('$')[2]}") is Damage.CHECKSUM


def test_wrong_checksum_is_told_from_a_wrong_shape() -> None:
    token = EXAMPLE.spell()
    assert damage_of(f"{token[:-1]}{HEX[HEX.index(token[-1]) - 1]}") is Damage.CHECKSUM
    assert damage_of(f"{token}0") is Damage.SHAPE


@pytest.mark.parametrize("token_id", [2**63, 10**19 - 1, 10**19])
def test_id_that_no_row_can_have_is_refused(token_id: int) -> None:
    assert damage_of(Key(token_id, EXAMPLE.secret).spell()) is Damage.SHAPE


@pytest.mark.parametrize("token_id", ["0", "00", "+5", "-5", " 5", "5 ", "0x5", "5.0", "1e3", ""])
def test_id_has_one_spelling_only(token_id: str) -> None:
    assert damage_of(f"{token_id}${EXAMPLE.spell().partition('$')[2]}") is Damage.SHAPE


def test_leading_zero_is_refused_even_with_a_matching_checksum() -> None:
    assert damage_of("0" + EXAMPLE.spell()) is Damage.SHAPE


@pytest.mark.parametrize("zero", [0x0660, 0x06F0, 0x0966, 0xFF10, 0x1D7CE])
@pytest.mark.parametrize("part", ["id", "secret"])
def test_digits_of_other_scripts_are_refused(zero: int, part: str) -> None:
    token_id, _, rest = EXAMPLE.spell().partition("$")
    foreign = str.maketrans("0123456789", "".join(chr(zero + digit) for digit in range(10)))
    if part == "id":
        token_id = token_id.translate(foreign)
    else:
        rest = rest.translate(foreign)
    assert damage_of(f"{token_id}${rest}") is Damage.SHAPE


def test_secret_in_capitals_is_refused() -> None:
    assert damage_of(EXAMPLE.spell().upper()) is Damage.SHAPE


@pytest.mark.parametrize("around", ["{}\n", "\n{}", " {}", "{} ", "{}\0", "'{}'", '"{}"', "{0}{0}"])
def test_nothing_may_stand_around_a_token(around: str) -> None:
    assert damage_of(around.format(EXAMPLE.spell())) is Damage.SHAPE


@pytest.mark.parametrize("text", ["771142358", "771142358$", "771142358_", "1", str(10**18)])
def test_id_that_arrives_alone_is_told_as_truncated(text: str) -> None:
    assert damage_of(text) is Damage.TRUNCATED


@pytest.mark.parametrize("text", ["", "$", "0", "0771$", "771142358$a", "771142358$$", "٣٣٣"])
def test_other_short_text_is_not_told_as_truncated(text: str) -> None:
    assert damage_of(text) is Damage.SHAPE


@pytest.mark.parametrize("text", ["1" * 93, "1" * 10_000_000, "1$" + "a" * 1_000_000])
def test_far_too_long_text_is_refused_by_its_length(text: str) -> None:
    assert damage_of(text) is Damage.SHAPE


@given(st.text(max_size=keys.LONGEST + 5))
def test_no_text_does_more_than_be_refused(text: str) -> None:
    assert damage_of(text) in Damage


@pytest.mark.parametrize("show", [repr, str, "{}".format, "{!r}".format, "%s".__mod__, ascii])
def test_secret_does_not_show_in_any_print_of_a_key(show: object) -> None:
    assert callable(show)
    assert EXAMPLE.secret not in show(EXAMPLE)
    assert "771142358" in show(EXAMPLE)


def test_secret_does_not_show_in_prints_of_things_that_hold_a_key() -> None:
    assert EXAMPLE.secret not in f"{[EXAMPLE]} { ({'key': EXAMPLE}) } {(EXAMPLE,)!r}"


def test_key_that_was_pickled_still_hides_its_secret() -> None:
    again = pickle.loads(pickle.dumps(EXAMPLE))
    assert again == EXAMPLE
    assert EXAMPLE.secret not in repr(again)


def test_key_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        EXAMPLE.id = 2  # type: ignore[misc]  # that is the point


@pytest.mark.parametrize("damaged", [EXAMPLE.spell()[:-1], EXAMPLE.spell()[:-1] + "~", "7" * 200])
def test_refusal_does_not_repeat_the_text(damaged: str) -> None:
    with pytest.raises(Malformed) as refused:
        keys.parse(damaged)
    told = "".join(traceback.format_exception_only(refused.value)) + repr(refused.value)
    assert EXAMPLE.secret[:16] not in told
    assert "7" * 20 not in told


def test_digest_is_hmac_sha256_of_id_and_secret_under_the_pepper() -> None:
    message = f"{EXAMPLE.id}:{EXAMPLE.secret}".encode()
    assert keys.digest(EXAMPLE, PEPPER) == hmac.new(PEPPER, message, sha256).digest()


def test_threads_digest_at_once_without_mixing_up() -> None:
    made = [keys.make(number) for number in range(1, 201)]
    with ThreadPoolExecutor(8) as pool:
        digests = list(pool.map(lambda key: keys.digest(key, PEPPER), made * 5))
    told = [hmac.digest(PEPPER, f"{key.id}:{key.secret}".encode(), sha256) for key in made]
    assert digests == told * 5


def test_digest_fits_its_column() -> None:
    assert len(keys.digest(EXAMPLE, PEPPER)) == keys.DIGEST_BYTES


@given(some_keys, some_keys)
def test_digest_depends_on_the_secret(one: Key, other: Key) -> None:
    assume(one.secret != other.secret)
    assert keys.digest(one, PEPPER) != keys.digest(Key(one.id, other.secret), PEPPER)


@given(some_keys, ids)
def test_digest_moved_to_another_row_fits_nothing(key: Key, elsewhere: int) -> None:
    assume(key.id != elsewhere)
    moved = keys.digest(key, PEPPER)
    assert not keys.matches(Key(elsewhere, key.secret), stored=moved, pepper=PEPPER)


@given(some_keys, st.binary(min_size=32, max_size=32))
def test_digest_depends_on_the_pepper(key: Key, other: bytes) -> None:
    assume(other != PEPPER)
    assert not keys.matches(key, stored=keys.digest(key, other), pepper=PEPPER)


@given(some_keys, separators)
def test_key_matches_its_own_digest_in_either_spelling(key: Key, separator: keys.Separator) -> None:
    stored = keys.digest(key, PEPPER)
    assert keys.matches(keys.parse(key.spell(separator)), stored=stored, pepper=PEPPER)


def test_digests_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def compare_digest(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return True

    monkeypatch.setattr(hmac, "compare_digest", compare_digest)
    assert keys.matches(EXAMPLE, stored=b"stored", pepper=PEPPER)
    assert compared == [(keys.digest(EXAMPLE, PEPPER), b"stored")]


@given(some_keys, separators, st.text(max_size=50), st.text(max_size=50))
def test_redacted_text_holds_no_secret(
    key: Key, separator: keys.Separator, before: str, after: str
) -> None:
    assert key.secret not in keys.redact(f"{before}{key.spell(separator)}{after}")


@pytest.mark.parametrize("length", range(16, 72))
@pytest.mark.parametrize("separator", SEPARATORS)
def test_cut_token_is_redacted_too(separator: str, length: int) -> None:
    cut = EXAMPLE.spell().partition("$")[2][:length]
    assert keys.redact(f"GET /?key=771142358{separator}{cut} 404") == (
        f"GET /?key=771142358{separator}… 404"
    )


@pytest.mark.parametrize(
    "separator", ["%24", "%5F", "%5f", "%2524", "\\u0024", "\\x24", "&#36;", "&#x24;"]
)
def test_token_whose_separator_was_encoded_on_the_way_is_redacted(separator: str) -> None:
    token = EXAMPLE.spell().replace("$", separator)
    assert EXAMPLE.secret not in keys.redact(f"GET /iam/clients?key={token}")


def test_token_in_capitals_is_redacted_too() -> None:
    shown = keys.redact(f"APIKey {EXAMPLE.spell().upper()}")
    assert EXAMPLE.secret.upper() not in shown


def test_secret_that_lost_its_id_is_redacted_too() -> None:
    assert keys.redact(f"no row for {EXAMPLE.spell()[10:]}!") == "no row for …!"


def test_every_token_of_a_text_is_redacted() -> None:
    one, other = EXAMPLE.spell("$"), Key(5, "c" * 64).spell("_")
    assert keys.redact(f"{one} and {other},") == "771142358$… and 5_…,"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "771142358",
        "costs 5$",
        "step_1_2_3",
        "GET /accounts/1/api-tokens/771142358/delete/ 200",
        "d41d8cd98f00b204e9800998ecf8427e",
        "commit 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
    ],
)
def test_text_without_a_token_stays_as_it_is(text: str) -> None:
    assert keys.redact(text) == text


@pytest.mark.parametrize("separator", ["$", "_"])
@pytest.mark.parametrize("before", ["", "x:", "xy:", "user:", "verifier_"])
def test_token_in_base64_is_redacted(separator: keys.Separator, before: str) -> None:
    text = base64.b64encode(f"{before}{EXAMPLE.spell(separator)}".encode()).decode()
    secret = base64.b64encode(EXAMPLE.secret.encode()).decode()

    shown = keys.redact(f"Authorization: Basic {text}, then more")

    assert shown.startswith("Authorization: Basic ")
    assert shown.endswith("…, then more")
    assert len(shown) < 70
    assert keys.redact(secret) == "…"
    assert keys.redact(text[:80]) != text[:80]


@pytest.mark.parametrize("space", [" ", "\n", "\r\n    ", "\t"])
@pytest.mark.parametrize("cuts", [(36,), (20,), (24, 48)])
@pytest.mark.parametrize("before", ["", "add ", "771142358$"])
def test_token_in_pieces_is_redacted(space: str, cuts: tuple[int, ...], before: str) -> None:
    secret = EXAMPLE.spell().partition("$")[2]
    ends = [0, *cuts, len(secret)]
    pieces = [secret[start:end] for start, end in itertools.pairwise(ends)]

    shown = keys.redact(f"{before}{space.join(pieces)} end")

    assert shown == f"{before}… end"


@pytest.mark.parametrize(
    "text",
    [
        "3f2a9b7c 1d4e5f60 0011223344556677",
        "4111 1111 1111 1111 and 4222 2222 2222 2222",
        "c2VydmljZSBhY2NvdW50cyBhcmUgbm8gcGVyc29ucywgYW5kIHNpZ24gaW4gbm93aGVyZQ==",
        "3b1f8a6e-7c9d-4e2f-a0b5-6d7e8f901234",
    ],
)
def test_what_is_no_secret_stays_as_it_is(text: str) -> None:
    assert keys.redact(text) == text
