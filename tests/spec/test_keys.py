"""Every key of the connector language: one accepted use, and misuses with what is said of them."""
# ruff: noqa: E501

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mcpgate.places import parse_place
from mcpgate.spec.check import shipped_schema
from mcpgate.values import Kind, Money, Placeholder, RequestTemplate, Template
from tests.spec.files import connector, faults, text

PARAMS = "params: { id: The id., amount: { type: integer }, currency: { type: string } }"
PAGED = "paginate: true\nparams: { after: { type: string }, page: { type: integer } }"
LATER = {"AUTH.authorize", "AUTH.token", "AUTH.scopes", "AUTH.client_id"}

Read = Callable[[Any, Any], Any]


def top(key: str, given: str, expected: Any, read: Read | None = None, tool: str = "") -> Any:
    """A key of the connector: what its value becomes."""
    name = key.partition(".")[2]
    return pytest.param(text(given, tool), read or (lambda c, _: getattr(c, name)), expected, id=key)


def own(key: str, given: str, expected: Any, read: Read | None = None, *, write: bool = False) -> Any:
    """A key of a tool."""
    name = key.partition(".")[2]
    return pytest.param(
        text(tool=given, write=write), read or (lambda _, t: getattr(t, name)), expected, id=key
    )


def place(*texts: str) -> tuple[Any, ...]:
    return tuple(parse_place(text) for text in texts)


ACCEPTED = [
    top("CONNECTOR.language", "language: 1", "shop", lambda c, _: c.name),
    top("CONNECTOR.connector", "connector: shop", "shop", lambda c, _: c.name),
    top("CONNECTOR.title", "title: The Shop", "The Shop"),
    top("CONNECTOR.docs", "docs: https://docs.shop.example/api", "https://docs.shop.example/api"),
    top("CONNECTOR.description", "description: What is sold.", "What is sold."),
    top("CONNECTOR.instructions", "instructions: >-\n  Prices are\n  in cents.", "Prices are in cents."),
    top(
        "CONNECTOR.base_url",
        "base_url: https://{site}.shop.example/v{version}\n"
        "settings: { site: { type: string, pattern: '[a-z]+' }, version: { enum: ['1', '2'] } }",
        "https://{site}.shop.example/v{version}",
        lambda c, _: str(c.base_url),
    ),
    top(
        "CONNECTOR.settings",
        "settings: { site: { type: string, pattern: '[a-z]+', default: main } }",
        {"site": {"type": "string", "pattern": "[a-z]+", "default": "main"}},
    ),
    top(
        "CONNECTOR.headers",
        "headers: { Shop-Version: 2022-11-28, Shop-Site: '{site}' }\n"
        "settings: { site: { type: string, pattern: '[a-z]+' } }",
        {"Shop-Version": Template(("2022-11-28",)), "Shop-Site": Template((Placeholder("site"),))},
    ),
    top("CONNECTOR.encoding", "encoding: form", ("form", "indexed"), lambda c, _: (c.encoding, c.lists)),
    top("CONNECTOR.lists", "encoding: form\nlists: comma", "comma"),
    top("CONNECTOR.idempotency", "idempotency: Idempotency-Key", "Idempotency-Key"),
    top("CONNECTOR.retry", "retry: Shop-Should-Retry", "Shop-Should-Retry"),
    top("CONNECTOR.request_id", "request_id: Request-Id", "Request-Id"),
    top("CONNECTOR.timeout", "timeout: 1e1", 10.0),
    top("CONNECTOR.private", "private: [email, no]", ("email", "no")),
    top("CONNECTOR.auth", "auth: { type: bearer }", "Bearer", lambda c, _: c.auth.scheme),
    top(
        "CONNECTOR.pagination",
        "pagination: { next: { after: id } }",
        {"after": parse_place("id")},
        lambda _, t: t.pagination.next,
        tool=PAGED,
    ),
    top("CONNECTOR.errors", "errors: { message: error }", place("error"), lambda c, _: c.errors.message),
    top("CONNECTOR.tools", "", ["shop_get"], lambda c, _: list(c.tools)),
    top("CONNECTOR.x-", "x-shelf: { anything: &id { type: string } }", "shop", lambda c, _: c.name),
    top("AUTH.type", "auth: { type: basic }", "basic", lambda c, _: c.auth.type),
    top("AUTH.name", "auth: { type: query, name: api_key }", "api_key", lambda c, _: c.auth.name),
    top("AUTH.scheme", "auth: { type: bearer, scheme: Bot }", "Bot", lambda c, _: c.auth.scheme),
    top(
        "AUTH.username",
        "auth: { type: basic, username: '{email}/token' }\nsettings: { email: { type: string, pattern: '.+@.+' } }",
        Template((Placeholder("email"), "/token")),
        lambda c, _: c.auth.username,
    ),
    top(
        "AUTH.secret",
        "auth:\n  type: bearer\n  secret:\n    label: Key\n    help: https://shop.example/keys\n    kinds:\n"
        "      - { match: t_\\w+, mode: test }\n"
        "      - { match: l_\\w+, mode: live, caution: Careful. }\n"
        "      - { match: p_\\w+, refuse: Public. }",
        (Kind(r"t_\w+", "test"), Kind(r"l_\w+", "live", "Careful."), Kind(r"p_\w+", refuse="Public.")),
        lambda c, _: c.auth.kinds,
    ),
    top("AUTH.probe", "auth: { type: bearer, probe: shop_get }", "shop_get", lambda c, _: c.auth.probe),
    top(
        "PAGINATION.params",
        "pagination: { params: { limit: { type: integer } }, next: links.next }",
        ["limit", "after", "page"],
        lambda _, t: sorted(t.schema["properties"], key=["limit", "after", "page"].index),
        tool=PAGED,
    ),
    top(
        "PAGINATION.items",
        "pagination: { items: data.list, next: links.next }",
        parse_place("data.list"),
        lambda _, t: t.pagination.items,
        tool=PAGED,
    ),
    top(
        "PAGINATION.next",
        "pagination: { next: { after: data.-1.id, page: +page } }",
        {"after": parse_place("data.-1.id"), "page": "+page"},
        lambda _, t: t.pagination.next,
        tool=PAGED,
    ),
    top(
        "PAGINATION.more",
        "pagination: { next: header:Link, more: has_more }",
        (parse_place("header:Link"), parse_place("has_more")),
        lambda _, t: (t.pagination.next, t.pagination.more),
        tool=PAGED,
    ),
    top(
        "PAGINATION.total",
        "pagination: { next: { page: +items }, total: header:X-Total }",
        parse_place("header:X-Total"),
        lambda _, t: t.pagination.total,
        tool=PAGED,
    ),
    top("ERRORS.when", "errors: { when: error }", parse_place("error"), lambda c, _: c.errors.when),
    top("ERRORS.message", "errors: { message: [a, b.c] }", place("a", "b.c"), lambda c, _: c.errors.message),
    top("ERRORS.code", "errors: { code: a.code }", place("a.code"), lambda c, _: c.errors.code),
    top(
        "ERRORS.hints",
        "errors: { hints: { 401: Ask., no_money: Wait. } }",
        {"401": "Ask.", "no_money": "Wait."},
        lambda c, _: c.errors.hints,
    ),
    own("TOOL.description", "description: >-\n  Things,\n  newest first.", "Things, newest first."),
    own("TOOL.category", "category: delete\neffects: []", "delete"),
    own(
        "TOOL.request",
        "request: GET /shops/{shop}/things.json?since={after}&v=1\nparams: { shop: Which., after: When. }",
        RequestTemplate(
            "GET",
            (Template(("shops",)), Template((Placeholder("shop"),)), Template(("things.json",))),
            (("since", Template((Placeholder("after"),))), ("v", Template(("1",)))),
        ),
    ),
    own("TOOL.graphql", "request: POST /graphql\ngraphql: '{ shop { name } }'", "{ shop { name } }"),
    own(
        "TOOL.params",
        "params: { id: The id., on: { type: boolean, default: true } }",
        {
            "id": {"type": "string", "description": "The id."},
            "on": {"type": "boolean", "default": True},
        },
        lambda _, t: t.schema["properties"],
    ),
    own("TOOL.required", f"{PARAMS}\nrequired: [id]", ["id"], lambda _, t: t.schema["required"]),
    own("TOOL.exactly_one", f"{PARAMS}\nexactly_one: [[id, amount]]", (("id", "amount"),)),
    own("TOOL.at_least_one", f"{PARAMS}\nat_least_one: [[id, amount]]", (("id", "amount"),)),
    own(
        "TOOL.body",
        f'{PARAMS}\nbody: {{ money: {{ value: "{{amount}}", unit: 1 }} }}',
        ({"money": {"value": "{amount}", "unit": 1}}, {"id": "id", "currency": "currency"}),
        lambda _, t: (t.body_tree, t.body),
        write=True,
    ),
    own(
        "TOOL.headers",
        f"{PARAMS}\nheaders: {{ Shop-Account: '{{id}}' }}",
        ({"Shop-Account": Template((Placeholder("id"),))}, {"amount": "amount", "currency": "currency"}),
        lambda _, t: (t.headers, t.query),
    ),
    own("TOOL.safe", "request: POST /search\nsafe: true", "read", lambda _, t: t.category),
    own("TOOL.effects", "effects: [money_out, reversal]", ("money_out", "reversal"), write=True),
    own(
        "TOOL.money",
        f"{PARAMS}\nlookup: GET /things/{{id}}\nmoney: {{ amount: [amount, before.amount], currency: currency }}",
        Money(place("amount", "before.amount"), place("currency")),
        write=True,
    ),
    own(
        "TOOL.lookup",
        f"{PARAMS}\nlookup: GET /things/{{id}}",
        RequestTemplate("GET", (Template(("things",)), Template((Placeholder("id"),)))),
        write=True,
    ),
    own("TOOL.roles", f"{PARAMS}\nroles: {{ recipient: id }}", {"recipient": (parse_place("id"),)}, write=True),
    own("TOOL.summary", f"{PARAMS}\nsummary: Pay {{amount}}", "Pay {amount}", lambda _, t: str(t.summary)),
    own(
        "TOOL.paginate",
        "paginate: { params: { page: { type: integer } }, next: { page: +page } }",
        {"page": "+page"},
        lambda _, t: t.pagination.next,
    ),
    own("TOOL.reply", "reply: text", "text"),
    own("TOOL.unwrap", "unwrap: data.shop", parse_place("data.shop")),
    own("TOOL.fields", "fields: [id, card.*, 'a\\.b']", place("id", "card.*", "a\\.b")),
    own("TOOL.sample", "sample: { id: 1, open: no, at: 12:30 }", {"id": 1, "open": "no", "at": "12:30"}),
    own("TOOL.x-", "x-note: anything", "shop_get", lambda _, t: t.name),
]  # fmt: skip


@pytest.mark.parametrize(("file", "read", "expected"), ACCEPTED)
def test_a_key_becomes_its_value(file: str, read: Read, expected: Any) -> None:
    found = connector(file)
    assert read(found, found.tools["shop_get"]) == expected


def bad(key: str, message: str, given: str = "", tool: str = "", *, write: bool = False) -> Any:
    """A misuse of a key, and the one thing that is said of it."""
    return pytest.param(text(given, tool, write=write), message, id=f"{key}: {(tool or given)[:50]}")


OWN = "'{}' is the engine's own header"
TEXT = "expected a text, found {}; if it is a text, quote it"
REFUSED = [
    bad("CONNECTOR.language", "this file is newer: it is written in language 2, and this mcpgate reads 1", "language: 2\nnew: 1"),
    bad("CONNECTOR.language", "only language 1 is known here", "language: one"),
    bad("CONNECTOR.connector", "'mcpgate' is what mcpgate's own tools begin with; give it another name", "connector: mcpgate"),
    bad("CONNECTOR.connector", "'app' is no connector's name: MCPGATE_APP_KEY is the key of an app; give it another name", "connector: app"),
    bad("CONNECTOR.connector", "'My Shop': a connector's name has lower-case letters and digits, and starts with a letter", "connector: My Shop"),
    bad("CONNECTOR.connector", f"'{'a' * 31}' has more than 30 characters", f"connector: {'a' * 31}"),
    bad("CONNECTOR.title", TEXT.format(3), "title: 3"),
    bad("CONNECTOR.docs", "'shop.example': docs is a web address (https://…)", "docs: shop.example"),
    bad("CONNECTOR.description", "expected a text, found nothing", "description:"),
    bad("CONNECTOR.instructions", "this must not be empty", "instructions: ''"),
    bad("CONNECTOR.base_url", "a base_url is https (plain http only on loopback): 'http://shop.example'", "base_url: http://shop.example"),
    bad("CONNECTOR.settings", "the setting 'site' needs a pattern (or an enum)", "settings: { site: { type: string } }"),
    bad("CONNECTOR.settings", "the setting 'site' is a text: type string", "settings: { site: { type: integer, pattern: '1' } }"),
    bad("CONNECTOR.settings", "the default does not match the pattern in full", "settings: { site: { type: string, pattern: a, default: ab } }"),
    bad("CONNECTOR.settings", "the default is not what the parameter takes: 'b' does not match 'a'", "settings: { site: { type: string, pattern: a, default: b } }"),
    bad("CONNECTOR.settings", "'a site': a parameter's name has letters, digits, _ and -", "settings: { a site: { enum: [a] } }"),
    bad("CONNECTOR.headers", TEXT.format(3), "headers: { Shop-Version: 3 }"),
    bad("CONNECTOR.headers", TEXT.format("a mapping"), "headers: { Shop-Site: {site} }"),
    bad("CONNECTOR.headers", "{site} is not a parameter here", "headers: { Shop-Site: '{site}' }"),
    bad("CONNECTOR.headers", 'a header is a text or one "{x}" as a whole', "headers: { Shop-Site: 'a {site}' }"),
    bad("CONNECTOR.headers", "a header has printable ASCII characters only", 'headers: { Shop-Site: "a\\r\\nb" }'),
    bad("CONNECTOR.headers", "a header has printable ASCII characters only", "headers: { Shop-Site: Größe }"),
    bad("CONNECTOR.headers", "'Shop Site': a header's name has letters, digits and hyphens", "headers: { Shop Site: a }"),
    bad("CONNECTOR.headers", "the header 'shop-site' stands here twice", "headers: { Shop-Site: a, shop-site: b }"),
    bad("CONNECTOR.headers", OWN.format("idempotency-key"), "idempotency: Idempotency-Key\nheaders: { idempotency-key: a }"),
    bad("CONNECTOR.encoding", "'xml' is not one of json, form", "encoding: xml"),
    bad("CONNECTOR.encoding", "'raw' comes later", "encoding: raw"),
    bad("CONNECTOR.encoding", "'multipart' comes later", "encoding: multipart"),
    bad("CONNECTOR.lists", "'commas' is not one of repeat, comma, brackets, indexed; did you mean 'comma'?", "lists: commas"),
    bad("CONNECTOR.idempotency", OWN.format("Host"), "idempotency: Host"),
    bad("CONNECTOR.retry", "Set-Cookie is never read", "retry: Set-Cookie"),
    bad("CONNECTOR.request_id", "'Request Id': a header's name has letters, digits and hyphens", "request_id: Request Id"),
    bad("CONNECTOR.timeout", "601 is out of bounds: at most 600", "timeout: 601"),
    bad("CONNECTOR.timeout", "0 is out of bounds: more than 0", "timeout: 0"),
    bad("CONNECTOR.timeout", "expected a number, found '30s'", "timeout: 30s"),
    bad("CONNECTOR.timeout", "expected a number, found '.inf'", "timeout: .inf"),
    bad("CONNECTOR.private", "expected a list, found 'email'; write [email]", "private: email"),
    bad("CONNECTOR.private", "'email' stands here twice", "private: [email, name, email]"),
    bad("CONNECTOR.auth", "expected a mapping, found 'bearer'", "auth: bearer"),
    bad("CONNECTOR.auth", "the key 'type' is missing", "auth: { name: key }"),
    bad("CONNECTOR.pagination", "unknown key 'nxt'; did you mean 'next'?", "pagination: { nxt: url }"),
    bad("CONNECTOR.errors", "unknown key 'hint'; did you mean 'hints'?", "errors: { hint: { 401: a } }"),
    bad("CONNECTOR.tools", "unknown key 'tool'; did you mean 'tools'?", "tool: {}"),
    bad("CONNECTOR.x-", "unknown key 'y-shelf'", "y-shelf: {}"),
    bad("AUTH.type", "'barer' is not one of bearer, basic, header, query; did you mean 'bearer'?", "auth: { type: barer }"),
    bad("AUTH.type", "'oauth2' comes later", "auth: { type: oauth2 }"),
    *(bad(f"AUTH.{key}", f"'{key}' (oauth2) comes later", f"auth: {{ type: bearer, {key}: x }}") for key in ("authorize", "token", "scopes", "client_id")),
    bad("AUTH.name", "auth of type header needs the name it travels under", "auth: { type: header }"),
    bad("AUTH.name", "a name is for auth of type header or query", "auth: { type: bearer, name: X-Key }"),
    bad("AUTH.name", OWN.format("Cookie"), "auth: { type: header, name: Cookie }"),
    bad("AUTH.name", "'X Key': a name has letters, digits, _ and hyphens", "auth: { type: header, name: X Key }"),
    bad("AUTH.scheme", "a scheme is for auth of type bearer or header", "auth: { type: query, name: key, scheme: Bot }"),
    bad("AUTH.scheme", "'two words': a scheme is one word", "auth: { type: bearer, scheme: two words }"),
    bad("AUTH.username", "a username is for auth of type basic", "auth: { type: bearer, username: me }"),
    bad("AUTH.username", "{email} is not a setting", "auth: { type: basic, username: '{email}' }"),
    bad("AUTH.username", "'{email': a placeholder is written {name}", "auth: { type: basic, username: '{email' }"),
    bad("AUTH.secret", "give kinds or one pattern, not both", "auth: { type: bearer, secret: { pattern: a, kinds: [{ match: a }] } }"),
    bad("AUTH.secret", "a kind that is refused has no mode and no caution", "auth: { type: bearer, secret: { kinds: [{ match: a, refuse: no, mode: test }] } }"),
    bad("AUTH.secret", "'sandbox' is not one of test, live", "auth: { type: bearer, secret: { kinds: [{ match: a, mode: sandbox }] } }"),
    bad("AUTH.secret", "'(a': missing ): (a", "auth: { type: bearer, secret: { pattern: (a } }"),
    bad("AUTH.probe", "there is no tool 'shop_got'; did you mean 'shop_get'?", "auth: { type: bearer, probe: shop_got }"),
    bad("AUTH.probe", "a probe is a read; 'shop_get' is not", "auth: { type: bearer, probe: shop_get }", write=True),  # row 31
    bad("AUTH.probe", "a probe has no required arguments; 'shop_get' has", "auth: { type: bearer, probe: shop_get }", f"{PARAMS}\nrequired: [id]"),
    bad("AUTH.probe", "a probe has no required arguments; 'shop_get' has", "auth: { type: bearer, probe: shop_get }", f"{PARAMS}\nat_least_one: [[id, amount]]"),
    bad("PAGINATION.params", "'after' is a parameter of the pagination already", "pagination: { params: { after: x }, next: url }", PAGED),
    bad("PAGINATION.params", "say what this is: type, enum, const, anyOf or oneOf", "pagination: { params: { limit: { minimum: 1 } }, next: url }", PAGED),
    bad("PAGINATION.items", "'a..b': a place is a dotted path such as data.-1.id, or header:NAME", "pagination: { items: a..b, next: url }", PAGED),
    bad("PAGINATION.next", "pagination has no next, which says how to go on", "pagination: { items: data }", PAGED),
    bad("PAGINATION.next", "next names 'cursor', which is not a parameter here", "pagination: { next: { cursor: id } }", PAGED),
    bad("PAGINATION.next", "'+pages' is not one of +page, +items; did you mean '+page'?", "pagination: { next: { page: +pages } }", PAGED),
    bad("PAGINATION.more", TEXT.format("true"), "pagination: { next: url, more: true }", PAGED),
    bad("PAGINATION.total", "expected a text, found nothing", "pagination:\n  next: url\n  total:", PAGED),
    bad("ERRORS.when", TEXT.format("a list"), "errors: { when: [error] }"),
    bad("ERRORS.message", "this must not be empty", "errors: { message: [] }"),
    bad("ERRORS.code", "'': a place is a dotted path such as data.-1.id, or header:NAME", "errors: { code: [''] }"),
    bad("ERRORS.hints", TEXT.format(3), "errors: { hints: { 401: 3 } }"),
    bad("TOOL.description", "this must not be empty", tool="description: ''"),
    bad("TOOL.category", "'reed' is not one of read, write, delete; did you mean 'read'?", tool="category: reed"),
    bad("TOOL.category", "'Read' is not one of read, write, delete; did you mean 'read'?", tool="category: Read"),
    bad("TOOL.category", "a read is GET or HEAD, not POST; safe: true says that it changes nothing", tool="request: POST /things"),
    bad("TOOL.request", "'/things': write METHOD /path?query, as in: GET /customers/{customer}", tool="request: /things"),
    bad("TOOL.request", "{id} is not a parameter here", tool="request: GET /things/{id}"),
    bad("TOOL.request", "a HEAD is answered without a body: reply: none", tool="request: HEAD /things"),
    bad("TOOL.request", "{ids} is a list or an object, which cannot stand in a path", tool="request: GET /{ids}\nparams: { ids: { type: array, items: { type: string } } }"),
    bad("TOOL.request", "'id' clashes with the query of request", tool=f"request: GET /things?id={{currency}}\n{PARAMS}"),
    bad("TOOL.request", "'id' stands twice in the query", tool=f"request: GET /things?id={{id}}&id={{currency}}\n{PARAMS}"),
    bad("TOOL.request", "'key' in the query carries the credential", "auth: { type: query, name: key }", "params: { key: x }"),
    bad("TOOL.request", "'key' in the query carries the credential", "auth: { type: query, name: key }", f"request: GET /things?key={{id}}\n{PARAMS}"),
    bad("TOOL.graphql", "a read holds no mutation", tool="request: POST /g\ngraphql: 'mutation { a }'"),
    bad("TOOL.graphql", "a GET has no body", tool="graphql: '{ a }'"),
    bad("TOOL.graphql", "'a' has no place: the document has no variable $a", tool="request: POST /g\ngraphql: 'query ($b: ID) { a }'\nparams: { a: x }"),
    bad("TOOL.params", "an object says its properties, or additionalProperties", tool="params: { id: { type: object } }"),  # row 7
    bad("TOOL.params", "$ref is not followed; repeat the schema, or use a YAML anchor", tool="params: { id: { $ref: 'https://x.example/s.json' } }"),  # row 22
    bad("TOOL.params", "'site' is a setting already", "settings: { site: { enum: [a] } }", "params: { site: x }"),
    bad("TOOL.required", "required names 'ammount', which is not a parameter here; did you mean 'amount'?", tool=f"{PARAMS}\nrequired: [ammount]"),
    bad("TOOL.required", "required in a parameter lists members of an object; a parameter that must be given is named in required beside params", tool="params: { id: { type: string, required: true } }"),
    bad("TOOL.exactly_one", "exactly_one is a list of groups of two or more, as in [[a, b]]", tool=f"{PARAMS}\nexactly_one: [[id]]"),
    bad("TOOL.exactly_one", "exactly_one names 'idd', which is not a parameter here; did you mean 'id'?", tool=f"{PARAMS}\nexactly_one: [[id, idd]]"),
    bad("TOOL.at_least_one", "at_least_one is a list of groups of two or more, as in [[a, b]]", tool=f"{PARAMS}\nat_least_one: [id]"),
    bad("TOOL.body", "a GET has no body", tool="body: { a: 1 }"),
    bad("TOOL.body", "this must not be empty", tool="body:", write=True),
    bad("TOOL.body", 'quote it: "{id}"', tool=f"{PARAMS}\nbody: {{ a: {{id}} }}", write=True),
    bad("TOOL.body", "'a {id}': a body takes \"{x}\" as a whole value, never inside a text", tool=f"{PARAMS}\nbody: {{ a: 'a {{id}}' }}", write=True),
    bad("TOOL.body", "{idd} is not a parameter here; did you mean 'id'?", tool=f"{PARAMS}\nbody: [{{ a: '{{idd}}' }}, '{{id}}', '{{amount}}', '{{currency}}']", write=True),
    bad("TOOL.body", "'id' clashes with a key of body", tool=f"{PARAMS}\nbody: {{ id: 1 }}", write=True),
    bad("TOOL.body", "'b' has no place: body is a whole value", tool="params: { a: x, b: y }\nbody: '{a}'", write=True),
    bad("TOOL.body", "a form body is a mapping", "encoding: form", "body: [a]", write=True),
    bad("TOOL.body", "graphql makes the body; its params are the variables", tool="graphql: '{ a }'\nbody: {}", write=True),
    *(bad("TOOL.body", f"'{codec}' in a body comes later", tool=f"params: {{ a: x }}\nbody: {{ raw: {{ {codec}: '{{a}}' }} }}", write=True) for codec in ("$base64", "$base64url", "$json", "$mime")),
    bad("TOOL.headers", OWN.format("Authorization"), tool="headers: { Authorization: Bearer x }"),
    bad("TOOL.headers", OWN.format("x-key"), "auth: { type: header, name: X-Key }", f"{PARAMS}\nheaders: {{ x-key: '{{id}}' }}"),
    bad("TOOL.headers", OWN.format("Idempotency-Key"), "idempotency: Idempotency-Key", f"{PARAMS}\nheaders: {{ Idempotency-Key: '{{id}}' }}", write=True),
    bad("TOOL.headers", "{ids} is a list or an object, and a header is a text", tool="headers: { Shop-Ids: '{ids}' }\nparams: { ids: { type: array, items: { type: string } } }"),
    bad("TOOL.safe", "safe: true is for a POST that is a read", tool="safe: true"),
    bad("TOOL.safe", "safe: true is for a POST that is a read", tool="safe: true", write=True),
    bad("TOOL.safe", "safe is true, or left out", tool="safe: false"),
    bad("TOOL.effects", "a write states its effects; [] says that it has none", tool="category: write\nrequest: POST /things"),  # row 6
    bad("TOOL.effects", "a delete states its effects; [] says that it has none", tool="category: delete\nrequest: DELETE /things"),
    bad("TOOL.effects", "a read has no effects; is this a write?", tool="effects: [erase]"),
    bad("TOOL.effects", "'money' is not one of money_in, money_out, commitment, reversal, erase, message; did you mean 'money_in'?", tool="effects: [money]", write=True),
    bad("TOOL.effects", "expected a list, found 'erase'; write [erase]", tool="effects: erase", write=True),
    bad("TOOL.money", "the key 'currency' is missing", tool=f"{PARAMS}\nmoney: {{ amount: amount }}", write=True),
    bad("TOOL.money", "this place names 'amuont', which is not a parameter here; did you mean 'amount'?", tool=f"{PARAMS}\nmoney: {{ amount: amuont, currency: currency }}", write=True),
    bad("TOOL.money", "'before' is the reply of a lookup, and this tool has none", tool=f"{PARAMS}\nmoney: {{ amount: before.amount, currency: currency }}", write=True),
    bad("TOOL.money", "'header:X': this is a place in the arguments, which have no headers", tool=f"{PARAMS}\nmoney: {{ amount: 'header:X', currency: currency }}", write=True),
    bad("TOOL.lookup", "a lookup is a GET, not POST", tool="lookup: POST /things", write=True),
    bad("TOOL.lookup", "{id} is not a parameter here", tool="lookup: GET /things/{id}", write=True),
    bad("TOOL.roles", "'recipent' is not one of recipient, text, branch, repo, url, start, end; did you mean 'recipient'?", tool=f"{PARAMS}\nroles: {{ recipent: id }}", write=True),
    bad("TOOL.roles", "this place names 'to', which is not a parameter here", tool=f"{PARAMS}\nroles: {{ recipient: to }}", write=True),
    bad("TOOL.summary", "{price} is not a parameter here", tool="summary: Pay {price}"),
    bad("TOOL.summary", TEXT.format("a mapping"), tool="summary: {price}"),
    bad("TOOL.paginate", "the connector has no pagination to use", tool=PAGED),
    bad("TOOL.paginate", "paginate is true, or what differs, or left out", tool="paginate: false"),
    bad("TOOL.paginate", "unknown key 'item'; did you mean 'items'?", tool="paginate: { item: data }"),
    bad("TOOL.reply", "'xml' is not one of json, text, none", tool="reply: xml"),
    bad("TOOL.reply", "fields is for replies in JSON, not for reply: text", tool="reply: text\nfields: [id]"),
    bad("TOOL.unwrap", TEXT.format("a list"), tool="unwrap: [data]"),
    bad("TOOL.fields", "expected a list, found 'id'; write [id]", tool="fields: id"),
    bad("TOOL.fields", "a field is a dotted path into the reply's body, such as id or card.brand", tool="fields: ['header:Location']"),
    bad("TOOL.sample", "merge keys (<<) are not part of YAML 1.2; write the keys out", "x-a: &a { b: 1 }", "sample: { <<: *a, c: 2 }"),
    bad("TOOL.x-", "unknown key 'desc'; did you mean 'description'?", tool="desc: x"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "message"), REFUSED)
def test_a_misused_key_is_told_once_and_in_plain_words(file: str, message: str) -> None:
    (found,) = faults(file)
    assert found == message or found.startswith(f"{message}; known here: ")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("get", "a tool's name starts with its connector's: shop_get"),
        ("shop", "a tool's name starts with its connector's: shop_shop"),
        ("shopping_get", "a tool's name starts with its connector's: shop_shopping_get"),
        ("shop_Get", "'shop_Get': a tool's name has lower-case letters, digits and single _"),
        ("shop__get", "'shop__get': a tool's name has lower-case letters, digits and single _"),
        ("shop_get_", "'shop_get_': a tool's name has lower-case letters, digits and single _"),
        ("shop_get-it", "'shop_get-it': a tool's name has lower-case letters, digits and single _"),
        (f"shop_{'a' * 46}", f"'shop_{'a' * 46}' has 51 characters, and at most 50 are allowed"),
        (f"shop_{'a' * 45}", None),
        ("shop_2_get", None),
    ],
)
def test_a_tool_has_a_name_that_clients_can_take(name: str, says: str | None) -> None:
    if says is None:
        assert connector(text(name=name)).tools[name].name == name
    else:
        assert faults(text(name=name)) == [says]


def test_every_key_of_the_language_is_in_both_tables() -> None:
    schema = shipped_schema("connector")
    sections = {
        "CONNECTOR": schema,
        **{name.upper(): schema["$defs"][name] for name in ("auth", "pagination", "errors", "tool")},
    }
    keys = {f"{section}.{key}" for section, found in sections.items() for key in found["properties"]}
    keys |= {"CONNECTOR.x-", "TOOL.x-"}
    assert {str(row.id) for row in ACCEPTED} == keys - LATER
    assert {str(row.id).partition(":")[0] for row in REFUSED} == keys


def test_the_language_has_the_keys_that_were_decided_and_no_others() -> None:
    schema = shipped_schema("connector")
    assert " ".join(schema["properties"]) == (
        "language connector title docs description instructions base_url settings headers encoding lists idempotency "
        "retry request_id timeout private auth pagination errors tools"
    )
    assert " ".join(schema["$defs"]["tool"]["properties"]) == (
        "description category request graphql params required exactly_one at_least_one body headers safe effects "
        "money lookup roles summary paginate reply unwrap fields sample"
    )
