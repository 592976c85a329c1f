"""A person reads the portal in their own language, wholly, and types as everybody does."""

import html
import re
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.utils.translation import to_locale

from accounts.languages import catalogue_for
from accounts.models import Language, Membership
from accounts.roles import Role
from apitokens.models import APIToken
from tests.conftest import Issue, SignIn
from tests.factories import ACCOUNT_ID
from tests.languages import catalogues

ACCOUNT, PROFILE = f"/accounts/{ACCOUNT_ID}/", "/profile/"
LIST, CREATE = f"{ACCOUNT}api-tokens/", f"{ACCOUNT}api-tokens/create/"
INBOX, SETTINGS = f"{ACCOUNT}notifications/", f"{ACCOUNT}notifications/settings/"
TRANSLATED = [code for code in Language.values if code != "en"]
every_language = pytest.mark.parametrize("language", TRANSLATED)

WORDS = {
    LIST: {
        "de": ["API-Token erstellen", "Ausgestellt von", "Rolle", "Ablauf", "Zuletzt verwendet"],
        "ru": ["Создать API-токен", "Кем выдан", "Роль", "Срок действия", "Ещё не использован"],
        "zh": ["创建 API 令牌", "签发者", "角色", "到期时间", "尚未使用"],
        "az": ["API tokeni yarat", "Verən şəxs", "Rol", "Bitmə vaxtı", "Hələ istifadə edilməyib"],
    },
    CREATE: {
        "de": ["Token-Name", "Beschreibung", "Läuft nie ab", "Ablaufdatum festlegen", "Verwerfen"],
        "ru": ["Имя токена", "Описание", "Бессрочно", "Указать дату окончания", "Отмена"],
        "zh": ["令牌名称", "描述", "永不过期", "设置到期日期", "放弃"],
        "az": ["Tokenin adı", "Təsvir", "Müddətsiz", "Bitmə tarixini təyin et", "İmtina et"],
    },
    PROFILE: {
        "de": ["Mein Profil", "Zeitzone", "Sprache", "Speichern"],
        "ru": ["Мой профиль", "Часовой пояс", "Язык", "Сохранить"],
        "zh": ["我的资料", "时区", "语言", "保存"],
        "az": ["Mənim profilim", "Vaxt zonası", "Dil", "Yadda saxla"],
    },
    ACCOUNT: {
        "de": ["Konto", "Meine Konten"],
        "ru": ["Аккаунт", "Мои аккаунты"],
        "zh": ["账户", "我的账户"],
        "az": ["Hesab", "Mənim hesablarım"],
    },
    INBOX: {
        "de": ["Benachrichtigungen", "Keine ungelesenen Benachrichtigungen"],
        "ru": ["Уведомления", "Нет непрочитанных уведомлений"],
        "zh": ["有关", "没有未读通知"],
        "az": ["Bildirişlər", "Oxunmamış bildiriş yoxdur"],
    },
    SETTINGS: {
        "de": ["Benachrichtigungen erlauben", "API-Token läuft ab", "Allgemein", "Sicherheit"],
        "ru": ["Разрешить уведомления", "Истекает API-токен", "Общие", "Безопасность"],
        "zh": ["允许通知", "API 令牌即将到期", "常规", "安全"],
        "az": ["Bildirişlərə icazə ver", "API tokeninin müddəti bitir", "Ümumi", "Təhlükəsizlik"],
    },
}
# What would come from Django or a library, and so is in no catalogue of ours.
FOREIGN_LEFTOVERS = ["This field", "required", "Select a valid", "Enter a", "days", "hours", "Jan"]
ADDRESSES = [
    *(LIST, f"{LIST}?status=all", f"{LIST}?q=nothing+like+it", CREATE, PROFILE),
    *(ACCOUNT, INBOX, SETTINGS, "/notifications/unsubscribe/broken/", "/sign-out/"),
]


def visible(page: str) -> str:
    """What a page says, by text and by the attributes that are read out or shown."""
    body = re.sub(r"(?s)<(head|script|style|option)\b.*?</\1>", " ", page)
    read_out = re.findall(r'\b(?:aria-label|title|data-label|placeholder)="([^"]*)"', body)
    return html.unescape(" ".join([re.sub(r"<[^>]+>", " ", body), *read_out]))


_WORDS_OF_THE_WIRE = re.compile(r'<code translate="no">[^<]*</code>')


def english_in(page: str, language: str) -> list[str]:
    """Source strings, ours and others', that the page shows although they have a translation."""
    text = visible(_WORDS_OF_THE_WIRE.sub("", page))
    ours = (
        entry.source
        for entry in catalogues.entries(to_locale(catalogue_for(language)))
        if entry.source not in entry.texts and not re.search(r"%\(|<", entry.source)
    )
    return [
        phrase
        for phrase in (*ours, *FOREIGN_LEFTOVERS)
        if re.search(rf"(?<![\w-]){re.escape(phrase)}(?![\w-])", text)
    ]


@pytest.fixture
def reader(client: Client, administrator: Membership, sign_in: SignIn) -> Client:
    """An Administrator's browser, which asks for English whatever the person has chosen."""
    administrator.user.name = "R2-D2"
    administrator.user.save()
    sign_in(client, administrator)
    client.defaults["HTTP_ACCEPT_LANGUAGE"] = "en"
    return client


def speaks(member: Membership, language: str) -> None:
    member.user.language = language
    member.user.save()


def read(browser: Client, address: str) -> str:
    return browser.get(address).content.decode()


@pytest.fixture
def tokens(administrator: Membership, issue: Issue, now: datetime) -> list[APIToken]:
    """Tokens in every state, with names that are no words of any language."""
    soon = issue(administrator, name="T-1", expires_at=now + timedelta(days=3, hours=1)).token
    far = issue(
        administrator, name="T-2", expires_at=datetime(2031, 3, 5, 22, 59, 59, tzinfo=UTC)
    ).token
    gone = issue(administrator, name="T-3").token
    APIToken.objects.filter(pk=gone.pk).update(deleted_at=now, deleted_by=administrator.user)
    return [soon, far, gone]


@every_language
@pytest.mark.parametrize("address", WORDS)
def test_page_speaks_the_language_of_its_reader(
    reader: Client,
    administrator: Membership,
    tokens: list[APIToken],
    language: str,
    address: str,
) -> None:
    speaks(administrator, language)
    text = visible(read(reader, address))
    assert [word for word in WORDS[address][language] if word not in text] == []


@every_language
@pytest.mark.parametrize("address", ADDRESSES)
def test_page_keeps_no_english(
    reader: Client,
    administrator: Membership,
    tokens: list[APIToken],
    language: str,
    address: str,
) -> None:
    speaks(administrator, language)
    assert english_in(read(reader, address), language) == []


def test_leftovers_would_be_found(reader: Client, tokens: list[APIToken]) -> None:
    found = english_in(read(reader, LIST), "de")
    assert {"Create API token", "Not used yet", "days"} <= set(found)


@every_language
def test_first_use_keeps_no_english(
    reader: Client, administrator: Membership, language: str
) -> None:
    speaks(administrator, language)
    assert english_in(read(reader, LIST), language) == []


@every_language
def test_deletion_keeps_no_english(
    reader: Client, administrator: Membership, tokens: list[APIToken], language: str
) -> None:
    speaks(administrator, language)
    assert english_in(read(reader, f"{LIST}{tokens[0].pk}/delete/"), language) == []


@every_language
@pytest.mark.parametrize("address", [CREATE, PROFILE])
def test_refusal_keeps_no_english(
    reader: Client, administrator: Membership, language: str, address: str
) -> None:
    speaks(administrator, language)
    refused = reader.post(address, {"expiration": "date", "expires_on": "31 February"})
    assert refused.status_code == 400
    assert english_in(refused.content.decode(), language) == []


@every_language
def test_missing_page_keeps_no_english(
    reader: Client, administrator: Membership, language: str
) -> None:
    speaks(administrator, language)
    missing = reader.get(f"{LIST}999999999/delete/")
    assert missing.status_code == 404
    assert english_in(missing.content.decode(), language) == []


@every_language
@pytest.mark.parametrize("address", [LIST, CREATE, PROFILE])
def test_page_says_which_language_it_is_in(
    reader: Client, administrator: Membership, language: str, address: str
) -> None:
    speaks(administrator, language)
    answer = reader.get(address)
    assert f'<html lang="{catalogue_for(language)}"' in answer.content.decode()
    assert answer.headers["Content-Language"] == catalogue_for(language)


@pytest.mark.parametrize(
    ("language", "shown"),
    [
        ("en", "5 Mar 2031"),
        ("de", "05.03.2031"),
        ("ru", "05.03.2031"),
        ("zh", "2031-03-05"),
        ("az", "05.03.2031"),
    ],
)
def test_dates_are_written_as_the_reader_writes_them(
    reader: Client,
    administrator: Membership,
    tokens: list[APIToken],
    language: str,
    shown: str,
) -> None:
    speaks(administrator, language)
    assert shown in visible(read(reader, LIST))


@pytest.mark.parametrize(
    ("language", "shown"),
    [
        ("en", "Expires in 3\xa0days"),
        ("de", "Noch 3\xa0Tage"),
        ("ru", "Ещё 3\xa0дня"),
        ("zh", "3\xa0日后到期"),
        ("az", "3\xa0gün qalıb"),
    ],
)
def test_time_left_is_told_in_the_language(
    reader: Client,
    administrator: Membership,
    tokens: list[APIToken],
    language: str,
    shown: str,
) -> None:
    speaks(administrator, language)
    assert shown in visible(read(reader, LIST))


@pytest.mark.parametrize(
    ("language", "number", "shown"),
    [
        ("en", 1, "1 token"),
        ("en", 2, "2 tokens"),
        ("de", 1, "1 Token"),
        ("de", 2, "2 Tokens"),
        ("ru", 1, "1 токен"),
        ("ru", 2, "2 токена"),
        ("ru", 5, "5 токенов"),
        ("ru", 11, "11 токенов"),
        ("ru", 21, "21 токен"),
        ("zh", 2, "2 个令牌"),
        ("az", 2, "2 token"),
    ],
)
def test_numbers_take_the_form_of_the_language(
    reader: Client,
    administrator: Membership,
    issue: Issue,
    language: str,
    number: int,
    shown: str,
) -> None:
    speaks(administrator, language)
    for _each in range(number):
        issue(administrator, name="T")
    assert re.search(rf"(?<!\d){shown}\s", visible(read(reader, LIST)))


@pytest.mark.parametrize("language", Language.values)
def test_ids_are_bare_digits_in_every_language(
    reader: Client, administrator: Membership, tokens: list[APIToken], language: str
) -> None:
    speaks(administrator, language)
    assert str(tokens[0].pk) in visible(read(reader, LIST))
    assert f'value="{Role.PURGE_AND_PREFETCH_WEB.value}"' in read(reader, CREATE)


@pytest.mark.parametrize("language", Language.values)
def test_roles_keep_the_names_that_the_api_has(
    reader: Client, administrator: Membership, language: str
) -> None:
    speaks(administrator, language)
    text = visible(read(reader, CREATE))
    assert [role.label for role in Role if role.label not in text] == []


@pytest.mark.parametrize("language", Language.values)
def test_date_field_speaks_iso_in_every_language(
    reader: Client, administrator: Membership, language: str
) -> None:
    """The browser shows it as its reader likes; what it sends and takes is one format."""
    speaks(administrator, language)
    form = read(reader, CREATE)
    fields = re.findall(r'<input type="date" name="expires_on" value="(\d{4}-\d\d-\d\d)"', form)
    key = re.search(r'name="form_key" value="([^"]+)"', form)
    assert fields
    assert key
    created = reader.post(
        CREATE,
        {
            "name": "T-4",
            "role": Role.USERS.value,
            "expiration": "date",
            "expires_on": "2031-12-31",
            "form_key": key[1],
        },
    )
    assert created.status_code == 200
    token = APIToken.objects.get(name="T-4")
    assert token.expires_at == datetime(2031, 12, 31, 23, 59, 59, tzinfo=UTC)
    if language != "en":
        assert english_in(created.content.decode(), language) == []


@every_language
def test_person_changes_the_language_and_is_answered_in_it(
    reader: Client, administrator: Membership, language: str
) -> None:
    reader.post(PROFILE, {"name": "R2-D2", "time_zone": "UTC", "language": language})
    administrator.user.refresh_from_db()
    assert administrator.user.language == language
    assert WORDS[PROFILE][language][0] in visible(read(reader, PROFILE))


def test_language_that_does_not_exist_is_refused(reader: Client, administrator: Membership) -> None:
    refused = reader.post(PROFILE, {"name": "R2-D2", "time_zone": "UTC", "language": "xx"})
    administrator.user.refresh_from_db()
    assert refused.status_code == 400
    assert administrator.user.language == "en"
