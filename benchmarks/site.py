"""A folder with everything that the subjects are started with, all pointed at the stub."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import yaml

from benchmarks import contextforge, described, stub
from benchmarks.answers import BALANCE, CUSTOMERS
from benchmarks.over_stdio import Stdio
from benchmarks.processes import FailedError
from benchmarks.stub import Stub

ROOT: Final = Path(__file__).parent.parent
GATE: Final = Path(sys.executable).with_name("mcpgate")
# made up, and put together so that it is not taken for a real one
KEY: Final = "sk_" + "test_" + "0123456789abcdefghij" + "KLMN"
# of each of these kinds, the rules that a person writes; the first five reach the reads that are measured
RULES: Final = (
    "{ for: 'stripe_list_*', max_value: { field: limit, max: 100 }, when_missing: allow }",
    "{ for: stripe_list_customers, block_pattern: { pattern: '@internal\\.', field: email } }",
    "{ for: stripe_list_customers, block_values: { field: email, values: [root@example.com] } }",
    "{ for: read, secret_block: {} }",
    "{ for: read, keyword_block: { keywords: [wire transfer, password] } }",
    "{ for: stripe_create_charge, max_value: { field: amount, max: 50000 } }",
    "{ for: stripe_create_charge, allow_values: { field: currency, values: [usd, eur, gbp] } }",
    "{ for: stripe_create_charge, max_amount: { usd: 40000, eur: 40000, gbp: 40000 } }",
    "{ for: stripe_create_charge, block_values: { field: source, values: [tok_amex] } }",
    "{ for: stripe_create_charge, required_fields: { fields: [metadata.order] } }",
)


@dataclass(frozen=True)
class Site:
    """The folder, and the API."""

    folder: Path
    stub: Stub

    @property
    def api(self) -> int:
        """The API's port."""
        return self.stub.port

    @cached_property
    def env(self) -> dict[str, str]:
        """The environment of every subject: `.pyc` are written and read, nothing is asked of the network."""
        env = {**os.environ, "STUB_PORT": str(self.api), "NO_PROXY": "*"}
        for name in ("PYTHONDONTWRITEBYTECODE", "MCPGATE_STRIPE_KEY"):
            env.pop(name, None)
        return env

    def home(self, name: str) -> dict[str, str]:
        """The environment of one mcpgate that has a folder of its own and its key from the environment."""
        home = self.folder / f"home-{name}"
        return {**self.env, "MCPGATE_HOME": str(home), "MCPGATE_STRIPE_KEY": KEY}

    @cached_property
    def vaulted(self) -> dict[str, str]:
        """The environment of one with a vault, where the account is connected and the log has a key."""
        env = {**self.env, "MCPGATE_HOME": str(self.folder / "home-vault")}
        self.gate(env, "init", "--key-file", str(self.folder / "master.key"))
        self.gate(env, "connect", self.connector, "--no-probe", given=KEY + "\n")
        return env

    @cached_property
    def app_key(self) -> str:
        """The key of an app that `mcpgate serve` answers."""
        words = ["--connector", self.connector, "--preset", "transact", "--rules", self.rules(10), "--json"]
        made: dict[str, Any] = json.loads(self.gate(self.vaulted, "apps", "create", "bench", *words))
        return str(made["key"])

    def gate(self, env: Mapping[str, str], *words: str, given: str | None = None) -> str:
        """Run a command of mcpgate."""
        done = subprocess.run(
            [GATE, *words], cwd=self.folder, env=env, input=given, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise FailedError(f"mcpgate {' '.join(words)}: {done.stderr}")
        return done.stdout

    @cached_property
    def connector(self) -> str:
        """The shipped connector, pointed at the stub."""
        (self.folder / "stripe.yaml").write_text(self._connector())
        return "./stripe.yaml"

    def grown(self, tools: int) -> str:
        """The same with more tools: reads of things that no one asks for."""
        text, number = self._connector(), 15
        lines = [
            f"  stripe_get_thing_{each}:\n    description: Look at thing {each}.\n    category: read\n"
            f"    request: GET /things/{each}/{{id}}\n    params: {{ id: Which one. }}\n    required: [id]\n"
            f"    fields: [id, amount]\n"
            for each in range(number, tools)
        ]
        (self.folder / f"stripe-{tools}.yaml").write_text(f"{text.rstrip()}\n{''.join(lines)}")
        return f"./stripe-{tools}.yaml"

    def rules(self, count: int) -> str:
        """A policy file of so many rules."""
        lines = [f"  - {RULES[number % len(RULES)]}\n" for number in range(count)]
        text = "policy: bench\n" + ("guardrails:\n" + "".join(lines) if lines else "")
        (self.folder / f"rules-{count}.yaml").write_text(text)
        return f"./rules-{count}.yaml"

    def reaching(self, count: int) -> str:
        """A policy file of so many rules, every one of which the measured read has to pass."""
        lines = [f"  - {RULES[number % 5]}\n" for number in range(count)]
        text = "policy: bench\n" + ("guardrails:\n" + "".join(lines) if lines else "")
        (self.folder / f"reaching-{count}.yaml").write_text(text)
        return f"./reaching-{count}.yaml"

    @cached_property
    def listing(self) -> str:
        """The tools as mcpgate lists them, for the servers that list what they are told."""
        path = self.folder / "listing.json"
        words = [str(GATE), "run", self.connector, "--preset", "full-access"]
        server = Stdio(words, self.home("listing"), self.folder)
        try:
            path.write_text(json.dumps(server.open()))
        finally:
            server.close()
        return str(path)

    @cached_property
    def openapi(self) -> str:
        """The same operations as an OpenAPI description."""
        path = self.folder / "openapi.json"
        path.write_text(
            json.dumps({**described.openapi(), "servers": [{"url": f"http://127.0.0.1:{self.api}"}]})
        )
        return str(path)

    @cached_property
    def toolbox(self) -> str:
        """The same operations as MCP Toolbox has them."""
        path = self.folder / "tools.yaml"
        path.write_text(yaml.safe_dump(described.toolbox(self.api, KEY)))
        return str(path)

    @cached_property
    def replies(self) -> str:
        """The API's replies, for a server that calls none."""
        path = self.folder / "replies.json"
        kept = {BALANCE: stub.balance(), CUSTOMERS: stub.customers()}
        path.write_text(json.dumps({name: stub.written(body).decode() for name, body in kept.items()}))
        return str(path)

    @cached_property
    def contextforge(self) -> contextforge.Prepared:
        """ContextForge, which knows the same operations."""
        return contextforge.prepare(self.folder, self.env, described.registered(self.api))

    def _connector(self) -> str:
        text = (ROOT / "connectors" / "stripe.yaml").read_text()
        return text.replace("base_url: https://api.stripe.com", f"base_url: http://127.0.0.1:{self.api}")


@contextmanager
def opened() -> Iterator[Site]:
    """A site with its stub, which are gone afterwards."""
    # what a killed server leaves behind in the last moment does not matter
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder, stub.running() as api:
        yield Site(Path(folder), api)
