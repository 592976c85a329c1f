"""Redis is away, or takes connections and answers nothing: people sign in all the same."""

import pickle
from collections.abc import Iterator

import pytest
from django.core.cache import cache, caches
from django.core.cache.backends.redis import RedisCache as DjangoRedisCache
from django.test import Client
from django.urls import reverse
from pytest_django import Settings
from redis import ConnectionError as NoConnection
from redis import Redis

from accounts.models import Membership
from accounts.throttling.redis_cache import outage
from tests import services
from tests.accounts.jwt.conftest import log_in
from tests.factories import PASSWORD
from tests.listener import Listener, listening, saying


def use_redis(settings: Settings, url: str) -> None:
    name = "accounts.throttling.redis_cache.RedisCache"
    timeouts = {"socket_connect_timeout": 0.2, "socket_timeout": 0.2}
    settings.CACHES = {"default": {"BACKEND": name, "LOCATION": url, "OPTIONS": timeouts}}


@pytest.fixture(autouse=True)
def whole() -> Iterator[None]:
    outage.end()
    yield
    outage.end()
    caches.close_all()


@pytest.fixture
def hung(settings: Settings) -> Iterator[Listener]:
    with listening() as listener:
        use_redis(settings, f"redis://127.0.0.1:{listener.port}/0")
        cache.clear()
        outage.end()
        yield listener


@pytest.mark.django_db
def test_every_way_in_is_open_while_redis_hangs(
    client: Client, hung: Listener, user: Membership
) -> None:
    email = user.user.email
    met = hung.met
    assert log_in(email).status_code == 200
    form = {"login": email, "password": PASSWORD}
    assert client.post(reverse("account_login"), form).status_code == 302
    assert client.post(reverse("account_reauthenticate"), {"password": PASSWORD}).status_code == 302
    assert Client().post(reverse("account_reset_password"), {"email": email}).status_code == 302
    assert hung.met == met + 1  # asked once, and left alone for a while


@pytest.mark.django_db
def test_every_way_in_is_open_and_limited_while_redis_is_away(
    settings: Settings, user: Membership
) -> None:
    use_redis(settings, f"redis://127.0.0.1:{services.free_port()}/0")
    cache.clear()
    told = [log_in(user.user.email, "wrong").status_code for _try in range(6)]
    assert told == [400] * 5 + [429]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "said", [b":1", b"*0", b":abc", b"$abc", b"$5\r\nhello", b"HTTP/1.1 400 No"]
)
def test_every_way_in_is_open_and_limited_while_no_redis_answers(
    settings: Settings, user: Membership, said: bytes
) -> None:
    with listening(saying(said + b"\r\n")) as listener:
        use_redis(settings, f"redis://127.0.0.1:{listener.port}/0")
        assert log_in(user.user.email).status_code == 200
        form = {"login": user.user.email, "password": PASSWORD}
        assert Client().post(reverse("account_login"), form).status_code == 302


@pytest.mark.django_db
def test_every_way_in_is_open_although_others_wrote_into_the_cache(
    settings: Settings, redis_url: str, user: Membership
) -> None:
    use_redis(settings, redis_url)
    cache.clear()
    form = {"login": user.user.email, "password": PASSWORD}
    log_in(user.user.email, "wrong")
    Client().post(reverse("account_login"), {**form, "password": "wrong"})
    others = Redis.from_url(redis_url)
    for key in others.keys("*"):
        others.set(key, b"garbage")
    assert log_in(user.user.email).status_code == 200
    assert Client().post(reverse("account_login"), form).status_code == 302
    assert not outage.retry_at


@pytest.mark.parametrize("garbage", [b"garbage", b"\xff", pickle.dumps({"x": 1}), b"[" * 100_000])
def test_value_that_cannot_be_read_is_deleted_and_missing(
    settings: Settings, redis_url: str, garbage: bytes
) -> None:
    use_redis(settings, redis_url)
    cache.clear()
    Redis.from_url(redis_url).set(cache.make_key("a"), garbage)
    cache.set("b", [1.5, "é", True, None])
    assert cache.get_many(["a", "b", "c"]) == {"b": [1.5, "é", True, None]}
    assert cache.add("a", 3)
    assert cache.incr("a") == 4
    Redis.from_url(redis_url).set(cache.make_key("a"), garbage)
    for _time in range(2):
        with pytest.raises(ValueError, match="Key"):
            cache.incr("a")
    assert not outage.retry_at


def test_redis_is_asked_again_later_and_counts_from_then_on(
    settings: Settings, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_redis(settings, redis_url)
    cache.set("kept", 1)
    with monkeypatch.context() as away:
        away.setattr(DjangoRedisCache, "get", _fail)
        assert cache.get("kept") is None
    assert cache.get("kept") is None  # not asked for a while
    outage.retry_at = 0.1  # which has passed
    assert cache.get("kept") == 1
    assert not outage.retry_at


def test_one_thread_at_a_time_finds_out_whether_redis_is_back() -> None:
    outage.begin(NoConnection("away"))
    assert not outage.may_ask()
    outage.retry_at = 0.1
    assert [outage.may_ask() for _thread in range(3)] == [True, False, False]


def _fail(*_facts: object, **_more: object) -> None:
    raise NoConnection("away")
