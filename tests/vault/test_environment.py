"""A key from the environment: what it is, and whom it is opened for (rows 15 and 16)."""

from __future__ import annotations

import pytest

from mcpgate.apps import open_account
from mcpgate.errors import CredentialError, LiveKeyError
from mcpgate.secrets import Scrubber, Secret
from mcpgate.spec.connector import read_connector
from mcpgate.values import Connector, Source
from mcpgate.vault.environment import EnvironmentVault, variable
from tests.vault.connected import asking

BEARER = """
auth:
  type: bearer
  secret:
    label: Secret key
    help: https://pay.example/keys
    kinds:
      - { match: (sk|rk)_test_\\w+, mode: test }
      - { match: sk_live_(old|older), refuse: This one is too old. }
      - { match: sk_live_\\w+, mode: live }
      - { match: pk_\\w+, refuse: This is a publishable key. }
"""
TEST_KEY, LIVE_KEY = "sk_test_Canary4711", "sk_live_" + "Canary4711"


def connector(
    base_url: str = "https://api.pay.example/v1", auth: str = BEARER, kind: str = "shipped"
) -> Connector:
    text = f"connector: pay\ntitle: Pay\nbase_url: {base_url}\n{auth}\ntools:\n"
    text += "  pay_get_balance: { description: Balance., category: read, request: GET /balance }\n"
    return read_connector("pay.yaml", text.encode(), Source(kind, "/somewhere/pay.yaml", ""))  # type: ignore[arg-type]


SHIPPED = connector()


def opened(
    text: str | None, of: Connector = SHIPPED, live: bool = False, known: Connector | None = SHIPPED
) -> tuple[str, Scrubber]:
    scrubber = Scrubber()
    environ = {} if text is None else {"MCPGATE_PAY_KEY": text}
    vault = EnvironmentVault(environ, lambda name: known if name == "pay" else None, scrubber)
    try:
        wanted = open_account(of, {}, live=live)
        secret = vault.open(wanted, asking(wanted, "pay_get_balance"))
    except CredentialError as error:
        said = f"{error.message} {error.hint}"
        assert "Canary" not in said
        return said, scrubber
    assert secret is None or isinstance(secret, Secret)
    return "nothing" if secret is None else secret.reveal(), scrubber


@pytest.mark.parametrize("of", [SHIPPED, connector(kind="own"), connector(kind="file")])
@pytest.mark.parametrize(
    ("text", "live", "says"),
    [
        (TEST_KEY, False, TEST_KEY),
        ("rk_test_Canary4711", False, "rk_test_Canary4711"),
        (TEST_KEY, True, TEST_KEY),
        (f"  {TEST_KEY}\r\n", False, TEST_KEY),
        (LIVE_KEY, True, LIVE_KEY),
        (LIVE_KEY, False, "live keys run only with --live"),  # row 16
        ("sk_live_old", True, "too old"),
        ("sk_live_older", True, "too old"),
        ("sk_live_oldest", True, "sk_live_oldest"),
        ("pk_Canary", False, "publishable"),
        (f"x{TEST_KEY}", False, "does not look like"),
        (f"{TEST_KEY}-", False, "does not look like"),
        (f"{TEST_KEY}\nsk_test_x", False, "spaces, line ends"),
        ("sk_test_Canary 4711", False, "spaces, line ends"),
        ("sk_test_Cänary", False, "spaces, line ends"),
        ("sk_test_Canary\x7f", False, "spaces, line ends"),
        ("sk_test_", False, "does not look like"),
        ("SK_TEST_Canary4711", False, "does not look like"),
        ("", False, "MCPGATE_PAY_KEY"),
        (" \n", False, "MCPGATE_PAY_KEY"),
        (None, False, "https://pay.example/keys"),
    ],
)
def test_row_16_a_key_is_matched_in_full(of: Connector, text: str | None, live: bool, says: str) -> None:
    said, scrubber = opened(text, of, live)
    assert says in said
    assert (said == says) == (says == (text or "").strip() != "")
    if text and text.strip():
        assert text.strip() not in scrubber.text(f"it was {text.strip()} that was given")


def test_without_kinds_any_key_is_taken_and_without_auth_none_is_opened() -> None:
    assert opened(LIVE_KEY, connector(auth="auth: {type: bearer}"))[0] == LIVE_KEY
    assert opened("two words", connector(auth="auth: {type: bearer}"))[0].startswith("MCPGATE_PAY_KEY holds")
    assert opened(LIVE_KEY, connector(auth=""))[0] == "nothing"


HOSTILE_KINDS = BEARER.replace("sk_live_\\w+, mode: live", "sk_live_\\w+, mode: test").replace(
    "refuse", "caution"
)
ANYTHING = "auth: {type: bearer}"
IN_QUERY = BEARER.replace("bearer", "query\n  name: key")
IN_HEADER = BEARER.replace("bearer", "header\n  name: X-Collect")
RELABELLED = BEARER.replace("label: Secret key", "label: Key")
REFUSED, LIVE, ELSEWHERE, ANOTHER_WAY = "publishable", "--live", "goes only to", "another way"


@pytest.mark.parametrize(
    ("base_url", "auth", "text", "live", "says"),
    [
        ("https://api.pay.example/v2", BEARER, TEST_KEY, False, TEST_KEY),
        ("https://api.pay.example/v2", RELABELLED, LIVE_KEY, True, LIVE_KEY),
        ("https://api.pay.example/v1", IN_QUERY, TEST_KEY, False, ANOTHER_WAY),
        ("https://api.pay.example/v1", IN_HEADER, LIVE_KEY, True, ANOTHER_WAY),
        ("https://api.pay.example/v1", HOSTILE_KINDS, LIVE_KEY, False, LIVE),
        ("https://api.pay.example/v1", ANYTHING, LIVE_KEY, False, LIVE),
        ("https://api.pay.example/v1", ANYTHING, "pk_1", True, REFUSED),
        ("https://api.pay.example/v1", ANYTHING, "x", True, "does not look like"),
        ("https://api.pay.example.evil.example/v1", BEARER, TEST_KEY, False, ELSEWHERE),
        ("https://evil.example/api.pay.example/v1", BEARER, LIVE_KEY, True, ELSEWHERE),
        ("https://api.pay.example:8443/v1", BEARER, TEST_KEY, False, ELSEWHERE),
        ("https://localhost.evil.example/v1", BEARER, TEST_KEY, False, ELSEWHERE),
        ("http://127.0.0.1:4711/v1", BEARER, TEST_KEY, False, TEST_KEY),
        ("http://localhost/v1", IN_QUERY, TEST_KEY, True, TEST_KEY),
        ("http://[::1]:4711/v1", BEARER, TEST_KEY, False, TEST_KEY),
        ("https://127.9.9.9/v1", BEARER, TEST_KEY, False, TEST_KEY),
        ("http://127.0.0.1:4711/v1", BEARER, LIVE_KEY, True, ELSEWHERE),
        ("http://127.0.0.1:4711/v1", HOSTILE_KINDS, LIVE_KEY, True, ELSEWHERE),
        ("http://127.0.0.1:4711/v1", ANYTHING, LIVE_KEY, False, ELSEWHERE),
    ],
)
def test_row_15_a_file_that_bears_a_known_name(
    base_url: str, auth: str, text: str, live: bool, says: str
) -> None:
    said, _ = opened(text, connector(base_url, auth, "file"), live)
    assert says in said
    assert (said == text) == (says == text)


def test_row_15_a_known_name_without_modes_or_without_auth_lends_nothing() -> None:
    loopback = connector("http://127.0.0.1:1/v1", kind="file")
    for auth in ("", ANYTHING):
        assert ELSEWHERE in opened(TEST_KEY, loopback, known=connector(auth=auth))[0]
    assert ANOTHER_WAY in opened(TEST_KEY, connector(kind="file"), known=connector(auth=""))[0]


def test_a_file_with_a_name_of_its_own_is_its_own_judge() -> None:
    file = connector("https://own.example", HOSTILE_KINDS, "file")
    assert opened(LIVE_KEY, file, known=None)[0] == LIVE_KEY
    assert "--live" in opened(LIVE_KEY, connector("https://own.example", kind="file"), known=None)[0]


def test_the_variable_is_the_connectors_own() -> None:
    assert variable("pay2") == "MCPGATE_PAY2_KEY"
    vault = EnvironmentVault(
        {"MCPGATE_PAY2_KEY": TEST_KEY, "MCPGATE_KEY": TEST_KEY}, lambda name: None, Scrubber()
    )
    with pytest.raises(CredentialError, match="no credential for Pay"):
        vault.check(open_account(SHIPPED, {}))


@pytest.mark.parametrize(
    ("first", "second"),
    [((TEST_KEY, False), (LIVE_KEY, False)), ((LIVE_KEY, True), (LIVE_KEY, False))],
)
def test_row_16_what_was_judged_once_is_judged_again_for_another_key_and_another_account(
    first: tuple[str, bool], second: tuple[str, bool]
) -> None:
    environ: dict[str, str] = {}
    vault = EnvironmentVault(environ, lambda name: SHIPPED, Scrubber())
    accounts = {live: open_account(SHIPPED, {}, live=live) for live in (False, True)}

    def open_now(text: str, live: bool) -> Secret | None:
        environ["MCPGATE_PAY_KEY"] = text
        return vault.open(accounts[live], asking(accounts[live], "pay_get_balance"))

    secret = open_now(*first)
    assert secret is not None
    assert secret.reveal() == first[0]
    assert open_now(*first) is secret
    for _ in range(2):
        with pytest.raises(LiveKeyError):
            open_now(*second)
        with pytest.raises(LiveKeyError):
            vault.check(accounts[second[1]])
