"""Texts to copy: what is pasted works."""

import io
import json
import shlex
import urllib.request

import pytest

from apitokens.pages.samples import Sample, samples

TOKEN = f"123456789${'0a' * 36}"
URL = "http://localhost:8000/iam/clients/1/tokens"
HEADER = f"APIKey {TOKEN}"


def sample(key: str) -> Sample:
    made = samples(TOKEN, account_id=1, base_url="http://localhost:8000")
    return next(each for each in made if each.key == key)


def test_shells_take_the_line_whole() -> None:
    assert shlex.split(sample("curl").text) == ["curl", "-H", f"Authorization: {HEADER}", URL]
    assert shlex.split(sample("env").text) == [f"API_TOKEN={TOKEN}"]


def test_python_sends_the_token_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sent = list[urllib.request.Request]()

    def urlopen(request: urllib.request.Request) -> io.BytesIO:
        sent.append(request)
        return io.BytesIO(json.dumps(["yes"]).encode())

    monkeypatch.setenv("API_TOKEN", TOKEN)
    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    exec(sample("python").text, {})  # it is what people run
    assert (sent[0].full_url, sent[0].get_header("Authorization")) == (URL, HEADER)
    assert capsys.readouterr().out == "['yes']\n"


@pytest.mark.parametrize("key", ["python", "javascript"])
def test_source_code_has_no_token_in_it(key: str) -> None:
    assert not sample(key).is_secret
    assert TOKEN not in sample(key).text
    assert URL in sample(key).text


def test_terraform_has_the_token_apart_from_the_code() -> None:
    values, code = sample("terraform").text.split("# main.tf")
    assert f'api_token = "{TOKEN}"' in values
    assert TOKEN not in code
