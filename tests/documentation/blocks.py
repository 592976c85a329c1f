"""The blocks of commands in the documents, and where each of them runs."""

import re
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = (
    *("*.md", "docs/**/*.md", "examples/**/*.md", "benchmarks/**/*.md"),
    "clients/**/*.md",
)
NO_COMMANDS = {"mermaid", "text"}
"""Languages of blocks that nobody types."""
WITH_PROMPTS = {"console", "shell-session"}
_BLOCK = re.compile(
    r"^(?P<indent> *)(?P<fence>`{3,}|~{3,}) *(?P<language>[^\s`]*)[^\n`]*\n"
    r"(?P<text>.*?)^ *(?P=fence)[`~]* *$",
    re.MULTILINE | re.DOTALL,
)


class Block(NamedTuple):
    """A block of a page, as it is printed."""

    page: str
    language: str
    text: str

    @property
    def key(self) -> str:
        """The page, and the words of the block."""
        return f"{self.page}: {' '.join(self.text.split())}"

    def filled(self, values: Mapping[str, str], facts: Mapping[str, str]) -> str:
        """The commands with what a reader puts in: each of the values is in the block."""
        text = self.commands
        for printed, own in values.items():
            assert printed in text, f"{self.key[:60]} does not print {printed!r} any more."
            text = text.replace(printed, own.format_map(facts))
        return text

    @property
    def commands(self) -> str:
        """The block for a shell: what stands behind the prompts, if it has prompts."""
        if self.language not in WITH_PROMPTS:
            return self.text
        lines = self.text.splitlines(keepends=True)
        return "".join(line.removeprefix("$ ") for line in lines if line.startswith("$ "))


class Here(NamedTuple):
    """Runs in tests/documentation, with these values for what is printed, and ends with `code`,
    having said `says`."""

    values: Mapping[str, str] = {}
    code: int = 0
    says: str = ""
    typed: str = ""
    """What is typed when a password is asked for."""
    after: str = ""
    """What is run behind it, in the same language, to see what has come of it."""


class By(NamedTuple):
    """Another file of the tests runs it as it is printed. It takes it from here, by `block_at` or
    `blocks_on`: what is printed anew runs anew."""

    file: str


class NotHere(NamedTuple):
    """Cannot run in a test. `test_words.py` looks whether what it names is there."""

    reason: str


def blocks() -> Iterator[Block]:
    """Every block of every page that holds something to type."""
    for pattern in FOLDERS:
        for page in sorted(ROOT.glob(pattern)):
            yield from blocks_of(str(page.relative_to(ROOT)), page.read_text())


def blocks_of(name: str, text: str) -> Iterator[Block]:
    for found in _BLOCK.finditer(text):
        if found["language"] not in NO_COMMANDS:
            yield Block(name, found["language"], textwrap.dedent(found["text"]))


PORT = {"localhost:8000": "localhost:{port}"}
TOKEN = {"771142358$…": "{token}"}
SSO = By("tests/idp/simplesamlphp.py")
PURGE = By("tests/examples/test_nginx.py")
INSTALLATION = By("tests/deploy/test_one_machine.py")
ASKS_THE_APPLICATION = """
with_token = {"HTTP_AUTHORIZATION": "APIKey {token}", "REMOTE_ADDR": "127.0.0.1"}
print(application(with_token, lambda status, headers: print(status)))
"""

PLACES: dict[str, Here | By | NotHere] = {
    "clients/python/README.md: from permatoken import": Here(
        {"https://tokens.example.com": "http://localhost:{port}", "verifier_…": "{verifier}"},
        says="Hello, admin@example.com of account 1.",
        after=ASKS_THE_APPLICATION,
    ),
    "README.md: make run #": NotHere(
        "make test is what runs this; an installation of the README has make run"
    ),
    "README.md: .venv/bin/python manage.py create_operator": Here(says="is an operator"),
    "README.md: curl -H 'Authorization:": Here(
        {**TOKEN, **PORT, '"2027-…"': '"{tomorrow}"'}, says='"token":"'
    ),
    "README.md: TOKEN=771142358_… curl -X": Here(
        {"771142358_…": "{other_spelling}", **PORT}, says='"rotations":'
    ),
    "README.md: from gcore import": Here(
        {"771142358_…": "{other_spelling}", **PORT}, says="{token_id}"
    ),
    "README.md: curl -H 'Content-Type:": Here(
        {
            '"password": "…"': '"password": "permatoken-demo"',
            "Bearer …": "Bearer {access}",
            '"refresh": "…"': '"refresh": "{refresh}"',
            **PORT,
        },
        says='"client_and_roles"',
    ),
    "README.md: curl -i -H": Here({**TOKEN, **PORT}, says="x-auth-token-id: {token_id}"),
    "README.md: curl -H 'Authorization: Bearer verifier_…' --data": Here(
        {"verifier_…": "{verifier}", **TOKEN, **PORT}, says='"active": true'
    ),
    "README.md: curl -H 'Authorization: Bearer verifier_…' --json": Here(
        {"verifier_…": "{verifier}", **TOKEN, **PORT}, says='[{{"active": true'
    ),
    "README.md: make prepare-run #": By("tests/documentation/test_installations.py"),
    "README.md: export BASE_URL=https://tokens.example.com export": By(
        "tests/documentation/test_installations.py"
    ),
    "README.md: server { listen": By("tests/documentation/test_snippets.py"),
    "README.md: TOKEN_PEPPERS=2:<new> .venv/bin/python manage.py": Here(
        {"2:<new>": "2:{pepper}"}, code=1, says="pepper 1"
    ),
    "README.md: .venv/bin/python manage.py backup --to": Here(says="and read back"),
    "README.md: .venv/bin/python manage.py restore": By(
        "tests/operations/backups/test_there_and_back.py"
    ),
    "README.md: make prepare-run deploy/permatoken": Here(says="System check identified"),
    "CONTRIBUTING.md: make run #": NotHere(
        "these are what starts this test; an installation of the README has make run"
    ),
    "docs/operations/install.md: apt-get update": NotHere(
        "it installs packages of the system, and a copy of the repository"
    ),
    "docs/operations/install.md: install -d": INSTALLATION,
    "docs/operations/install.md: runuser -u postgres": INSTALLATION,
    "docs/operations/install.md: cp -r deploy/systemd": INSTALLATION,
    "docs/operations/install.md: permatoken-run manage create_account": INSTALLATION,
    "docs/operations/install.md: openssl req": INSTALLATION,
    "docs/operations/install.md: cp deploy/nginx": INSTALLATION,
    "docs/operations/install.md: cat > /etc/letsencrypt/renewal-hooks/deploy": By(
        "tests/deploy/test_nginx.py"
    ),
    "docs/operations/install.md: curl --fail": INSTALLATION,
    "docs/operations/install.md: install -d -o": INSTALLATION,
    "docs/operations/install.md: git clone": NotHere(
        "it installs a copy of the repository, which is no release that others can have"
    ),
    "docs/operations/install.md: /opt/permatoken/deploy/make-secrets": INSTALLATION,
    "docs/operations/metrics-and-logs.md: apt-get install": By("tests/deploy/test_prometheus.py"),
    "docs/operations/containers.md: buildah build": By("tests/deploy/images.py"),
    "docs/operations/containers.md: cd deploy": By("tests/deploy/test_compose.py"),
    "docs/operations/containers.md: deploy/make-secrets": NotHere(
        "it wants a cluster; tests/deploy has make-secrets and the manifests on their own"
    ),
    "docs/operations/more-than-one.md: SELECT application_name": By(
        "tests/documentation/test_snippets.py"
    ),
    "docs/operations/more-than-one.md: [databases]": By("tests/pgbouncer.py"),
    "docs/operations/more-than-one.md: DATABASE_URL=": By("tests/documentation/test_snippets.py"),
    "docs/operations/more-than-one.md: listen redis": By("tests/deploy/test_haproxy.py"),
    "docs/proxies.md: TRUSTED_PROXIES=127.0.0.1 make run": By("tests/examples/proxies.py"),
    "docs/proxies.md: cd examples/proxies": By("tests/examples/proxies.py"),
    "docs/proxies.md: curl -i": By("tests/examples/test_proxies.py"),
    "docs/purge-behind-nginx.md: make run #": NotHere("an installation of the README has make run"),
    "docs/purge-behind-nginx.md: python3 examples/nginx/origin.py #": PURGE,
    "docs/purge-behind-nginx.md: folder=$(mktemp -d) &&": PURGE,
    "docs/address-lists.md: PORTAL=http": Here(
        {"771142358$…": "{endless}", "verifier_…": "{verifier}", **PORT}, says="address_not_allowed"
    ),
    "docs/address-lists.md: .venv/bin/python manage.py": Here(says="2001:db8::/48"),
    "docs/purge-behind-nginx.md: $ curl -s": PURGE,
    "docs/purge-behind-nginx.md: $ TOKEN=$(.venv/bin/python manage.py": PURGE,
    "docs/purge-behind-nginx.md: $ .venv/bin/python manage.py": PURGE,
    "docs/scopes.md: API=http": Here({"771142358$…": "{endless}", **PORT}, says="[] are left"),
    "docs/scopes.md: .venv/bin/python manage.py": Here(says="audit:read"),
    "docs/service-accounts.md: API=http": Here(
        {"771142358$…": "{endless}", **PORT}, says="are gone"
    ),
    "docs/service-accounts.md: .venv/bin/python manage.py": Here(
        says="API tokens were handed over."
    ),
    "docs/single-sign-on.md: sudo apt-get install": NotHere(
        "it installs packages of the system; those that it names are what .ci/run installs"
    ),
    "docs/single-sign-on.md: ENTITY_ID=": SSO,
    "docs/single-sign-on.md: mkdir metadata sessions": SSO,
    "docs/single-sign-on.md: cat > config.php": SSO,
    "docs/single-sign-on.md: SIMPLESAMLPHP_CONFIG_DIR=$PWD php -S": SSO,
    "docs/single-sign-on.md: $ .venv/bin/python manage.py": Here(
        says="ops@operators.example is an operator", typed="a password of the reader's own"
    ),
    "docs/upgrades.md: class Migration(migrations.Migration):": By(
        "tests/scripts/test_migrations.py"
    ),
}
"""By the page and the first words. A new block needs an entry here."""


def place_of(block: Block) -> str | None:
    """The entry of the block: of several that begin like it, the longest."""
    return max((each for each in PLACES if block.key.startswith(each)), key=len, default=None)


def block_at(place: str) -> Block:
    """The block whose entry this is."""
    (found,) = (each for each in blocks() if place_of(each) == place)
    return found


def blocks_on(page: str, *languages: str) -> list[Block]:
    """The blocks of a page in these languages, from top to bottom."""
    return [each for each in blocks() if each.page == page and each.language in languages]
