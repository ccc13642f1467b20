"""A sealed vault in a folder of the test, and a shop whose credentials lie in it."""

from __future__ import annotations

import dataclasses
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from mcpgate.apps import open_account
from mcpgate.arguments import check_arguments
from mcpgate.engine.request import build
from mcpgate.errors import CredentialError
from mcpgate.json_schema import build_validator
from mcpgate.places import MISSING
from mcpgate.policy.templates.template import EXAMPLE_NOW
from mcpgate.secrets import Scrubber, Secret
from mcpgate.spec.connector import read_connector
from mcpgate.store.database import Database
from mcpgate.values import Account, Connector, Policy, Request, Source
from mcpgate.vault.connected import ConnectedVault
from mcpgate.vault.providers import FileProvider
from mcpgate.vault.sealed_vault import SealedVault

KEY = "test_canarycanary"
SHOP = """
connector: shop
title: The Shop
base_url: https://{site}.shop.example
settings:
  site: { type: string, pattern: '[a-z]+', default: main }
auth:
  type: bearer
  secret:
    kinds:
      - { match: 'test_\\w+', mode: test }
      - { match: 'live_\\w+', mode: live }
      - { match: 'pub_\\w+', refuse: Public. }
tools:
  shop_ping: { description: Ping., category: read, request: GET /ping }
  shop_list_orders: { description: Orders., category: read, request: GET /orders }
  shop_create_order:
    description: Order things.
    category: write
    request: POST /orders
    params: { amount: { type: integer }, currency: { type: string }, note: { type: string } }
    effects: [money_in]
    money: { amount: amount, currency: currency }
  shop_create_refund:
    description: Refund an order.
    category: write
    request: POST /refunds
    params: { order: { type: string }, amount: { type: integer } }
    required: [order]
    effects: [reversal, money_out]
    lookup: GET /orders/{order}
    money: { amount: [amount, before.amount], currency: before.currency }
  shop_delete_order:
    description: Delete an order.
    category: delete
    request: DELETE /orders/{order}
    params: { order: { type: string } }
    effects: [erase]
"""


def shop(kind: Any = "shipped", text: str = SHOP, path: str = "shop.yaml") -> Connector:
    """The shop as it comes from somewhere."""
    data = text.encode()
    return read_connector("shop.yaml", data, Source(kind, path, sha256(data).hexdigest()))


def account(
    connector: Connector | None = None, name: str = "default", *, live: bool = False, **settings: str
) -> Account:
    """An account of the shop."""
    return open_account(connector or shop(), settings, name, live=live)


def asking(of: Account, tool: str = "shop_ping", before: Any = MISSING, /, **arguments: Any) -> Request:
    """The request of a call, built without asking any policy."""
    found = of.connector.tools[tool]
    canonical = check_arguments(found, build_validator(found.schema), arguments)
    return dataclasses.replace(build(of, found, canonical), before=before, now=EXAMPLE_NOW)


class Rig:
    """A vault whose master key lies in a file."""

    def __init__(self, folder: Path, known: Connector | None = None) -> None:
        self.database = Database(str(folder / "home" / "mcpgate.db"))
        self.sealed = SealedVault(self.database, {"file": FileProvider()})
        self.sealed.set_up("file", {"path": str(folder / "master.key")})
        self.scrubber = Scrubber()
        self.vault = ConnectedVault(self.sealed, lambda _: known, self.scrubber)

    def keep(self, kept: Account, text: str = KEY, mode: str = "test", most: Policy | None = None) -> None:
        """Connect an account, under a ceiling where one is given."""
        self.vault.keep(kept, Secret(text), mode, most)

    def opens(self, wanted: Account, request: Request | None = None) -> str:
        """What the vault gives for a request."""
        secret = self.vault.open(wanted, request or asking(wanted))
        assert secret is not None
        return secret.reveal()

    def refuses(self, wanted: Account, request: Request | None = None) -> str:
        """Why it gives nothing."""
        with pytest.raises(CredentialError) as caught:
            self.vault.open(wanted, request or asking(wanted))
        said = f"{caught.value.message} {caught.value.hint}"
        assert KEY not in said
        return said
