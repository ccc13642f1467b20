"""Where arguments go, and that no value makes a URL leave its template."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from mcpgate.engine import request as engine_request
from mcpgate.errors import ArgumentsError, MCPGateError
from tests.engine.rig import ORIGIN, Rig, one_tool, prepare
from tests.standins.loopback import Loopback, Reply

READ = "category: read\n"
WRITE = "category: write\neffects: []\n"
FREE = '{type: string, pattern: "^(?s:.*)$"}'
JSON = ("content-type", "application/json")
FORM = ("content-type", "application/x-www-form-urlencoded")


def path_tool(path: str, param: str = "A text.", base_url: str = ORIGIN) -> Any:
    return one_tool(f"{READ}request: GET {path}\nparams: {{x: {param}}}", base_url=base_url)


# --- paths: rows 9, 10 and 12 ---


REFUSED = [
    *("../refunds", "a/../../refunds", "./a", "a/./b", "..\\b", "a\\..\\b", "a/..", "a\\."),
    *("%2e%2e/b", "a/%2E%2E/b", "%252e%252e/b", "..%2fb", "a%2f..%2fb", "a%5c..%5cb", "%" + "25" * 9 + "2e"),
    *("", "\t", "a\r\nHost:x", "a\n", "a\x7f", "a%0d%0ab", "a%00", "%C2%85"),
    # a server that decodes twice would read what no rule saw
    *("%6f1", "a%2Fb", "100%25"),
    "a\\b",
    *("ｃus_1", "cus_１", "a\u200b", "a\u202eb", "é"),
]


@pytest.mark.parametrize("path", ["/a/{x}", "/a/{x}.json", "/a/{x...}", "/a/{x...}/end", "/a/v{x}"])
@pytest.mark.parametrize("value", REFUSED)
def test_row_10_a_path_value_that_is_refused(path: str, value: str) -> None:
    with pytest.raises(ArgumentsError, match=r"^x: |over and over"):
        prepare(path_tool(path), x=value)


@pytest.mark.parametrize("path", ["/a/{x}", "/a/{x}.json", "/a/v{x}"])
def test_row_10_a_slash_is_for_a_path_that_takes_several_parts(path: str) -> None:
    with pytest.raises(ArgumentsError, match="a slash or a backslash"):
        prepare(path_tool(path), x="p1/refunds")


@pytest.mark.parametrize("value", [".", "..", "%2e", "%2E%2e", "%25252e"])
@pytest.mark.parametrize("path", ["/a/{x}", "/{x}", "/a/{x...}"])
def test_row_10_a_part_is_no_dot(path: str, value: str) -> None:
    with pytest.raises(ArgumentsError, match=r"'\.'"):
        prepare(path_tool(path), x=value)


@pytest.mark.parametrize("value", ["/a", "a/", "a//b", "//evil.example"])
def test_row_10_slashes_are_kept_but_no_part_is_empty(value: str) -> None:
    with pytest.raises(ArgumentsError, match="empty part"):
        prepare(path_tool("/files/{x...}"), x=value)


@pytest.mark.parametrize(
    ("path", "param", "value", "sent"),
    [
        ("/a/{x}", "A text.", "a b?c#d;e&f=g@h:i+j%k", "/a/a%20b%3Fc%23d%3Be%26f%3Dg%40h%3Ai%2Bj%25k"),
        ("/a/{x}/b", FREE, "x/y", "/a/x%2Fy/b"),
        ("/a/{x}/b", "A text.", "a..b...", "/a/a..b.../b"),
        ("/a/{x}.json", "A text.", "~'()*!", "/a/~%27%28%29%2A%21.json"),
        ("/a/{x...}", "A text.", "src/a b/c%d.txt", "/a/src/a%20b/c%25d.txt"),
        ("/a/{x...}/raw", "A text.", "one", "/a/one/raw"),
        ("/a/{x}", FREE, "é/ü", "/a/%C3%A9%2F%C3%BC"),
        ("/a/{x}", "{type: integer}", 20.0, "/a/20"),
        ("/a/{x}", "{type: boolean}", True, "/a/true"),
        ("/a%20b/{x}", "A text.", "1", "/a%20b/1"),
    ],
)
def test_a_path_value_is_encoded_whole(path: str, param: str, value: Any, sent: str) -> None:
    assert prepare(path_tool(path, param), x=value).url == ORIGIN + sent


@pytest.fixture(scope="module")
def rigs() -> Iterator[tuple[Loopback, dict[str, Rig]]]:
    with Loopback(otherwise=Reply()) as server:
        paths = ["/a/{x}", "/a/{x}.json/b", "/a/{x...}", "/a/{x...}/b"]
        rigs = {path: Rig(path_tool(path, FREE, f"{server.url}/v1")) for path in paths}
        yield server, rigs
        for rig in rigs.values():
            rig.__exit__()


HOSTILE = some.lists(
    some.sampled_from("./\\%2eE25fF#?;:@&= \r\n\0é．／") | some.characters(exclude_categories=["Cs"]),
    max_size=8,
).map("".join) | some.sampled_from(
    ["..", "a/../b", "%2e%2e", "..;/x", "a\\..", "．．/", "%c0%ae%c0%ae/", "@evil.example"]
)


@settings(deadline=None)
@given(path=some.sampled_from(["/a/{x}", "/a/{x}.json/b", "/a/{x...}", "/a/{x...}/b"]), value=HOSTILE)
def test_row_10_whatever_the_value_the_server_sees_the_template(
    rigs: tuple[Loopback, dict[str, Rig]], path: str, value: str
) -> None:
    server, by_path = rigs
    try:
        reply = by_path[path].send(x=value)
    except ArgumentsError:
        return
    assert reply.fate == "succeeded", reply.problem
    target = server.requests.pop().target
    before, _, after = f"/v1{path}".replace("{x...}", "{x}").partition("{x}")
    assert target.startswith(before)
    assert target.endswith(after)
    arrived = target.removeprefix(before).removesuffix(after)
    assert unquote(arrived) == value
    assert not set(arrived) & set("?#\\;@")
    assert "..." in path or "/" not in arrived
    for decoded in (target, unquote(target), unquote(unquote(target))):
        assert not {".", ".."} & set(decoded.replace("\\", "/").split("/"))


@pytest.mark.parametrize("value", ["a/b", "a?b", "a#b", "..", "a/../b", "é", "a;b", "@b"])
def test_row_10_the_built_url_is_held_against_its_template(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_request, "_path_value", lambda part, value, has_pattern: value)
    with pytest.raises(ArgumentsError):
        prepare(path_tool("/a/{x}/b"), x=value)


SETTING = 'settings: {site: {type: string, pattern: ".+"}}'


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ("a?b", "a%3Fb"),
        ("a#b", "a%23b"),
        ("a/b", "a%2Fb"),
        ("é", "%C3%A9"),
        *((value, None) for value in ("", ".", "..", "a/../..", "a/./b", "%2e%2e", "a\\..", "..\\a")),
    ],
)
def test_row_12_a_setting_in_the_path_cannot_bend_the_address(value: str, sent: str | None) -> None:
    connector = one_tool(
        f"{READ}request: GET /x", f"base_url: https://api.example.com/{{site}}/v1\n{SETTING}"
    )
    if sent is not None:
        assert prepare(connector, {"site": value}).url == f"https://api.example.com/{sent}/v1/x"
    else:
        with pytest.raises(MCPGateError):
            prepare(connector, {"site": value})


@pytest.mark.parametrize("value", ["a.b", "evil.example/", "a@b", "a:1", "", "-a", "a" * 64, "ä"])
def test_row_12_a_setting_in_the_host_is_one_label(value: str) -> None:
    connector = one_tool(f"{READ}request: GET /x", f"base_url: https://{{site}}.example.com\n{SETTING}")
    assert prepare(connector, {"site": "acme-1"}).url == "https://acme-1.example.com/x"
    with pytest.raises(MCPGateError):
        prepare(connector, {"site": value})


# --- placement: decisions 2, 3, 5, 6 and 7 ---

PARAMS = "params: {a: A text., b: {type: [integer, 'null']}, c: {type: array, items: A text.}}"
GRAPHQL = "graphql: 'mutation ($a: String, $b: Int, $c: [String!]) { x(a: $a, b: $b, c: $c) { id } }'"
NESTED = "body: {content: {type: text, value: '{a}'}, count: '{b}', fixed: 1}"

PLACED: list[tuple[str, str, str, dict[str, Any], str, bytes | None, tuple[str, str] | None]] = [
    ("query", "GET /x", "", {"a": "1&2", "c": ["p", "q"]}, "a=1%262&c=p&c=q", None, None),
    ("query of a delete", "DELETE /x", "", {"a": "é"}, "a=%C3%A9", None, None),
    (
        "a wire name",
        "GET /x?DateSent>={a}&fixed=y%20z",
        "",
        {"a": "b"},
        "DateSent%3E=b&fixed=y%20z",
        None,
        None,
    ),
    ("an absent wire name", "GET /x?q={a}", "", {"b": 2}, "b=2", None, None),
    ("a null in a query", "GET /x?q=from:{b}&r={b}", "", {"b": None}, "", None, None),
    ("text round a value", "GET /x?q=is:open%20{a}", "", {"a": "x"}, "q=is%3Aopen%20x", None, None),
    ("body", "POST /x", "", {"b": 2, "a": "é"}, "", '{"a":"é","b":2}'.encode(), JSON),
    ("a null in a body", "PATCH /x", "", {"b": None}, "", b'{"b":null}', JSON),
    ("nothing given", "PUT /x", "", {}, "", b"{}", JSON),
    ("query and body", "POST /x?a={a}", "", {"a": "1", "b": 2}, "a=1", b'{"b":2}', JSON),
    ("form", "POST /x", "encoding: form", {"a": "a b&", "c": ["p"]}, "", b"a=a+b%26&c[0]=p", FORM),
    ("an empty form", "POST /x", "encoding: form", {}, "", b"", FORM),
    ("a query beside a form", "DELETE /x", "encoding: form", {"c": ["p"]}, "c[0]=p", None, None),
]


@pytest.mark.parametrize(
    ("request_line", "top", "given", "query", "body", "content_type"),
    [row[1:] for row in PLACED],
    ids=[row[0] for row in PLACED],
)
def test_where_arguments_go(
    request_line: str, top: str, given: Any, query: str, body: bytes | None, content_type: Any
) -> None:
    category = READ if request_line.startswith("GET") else WRITE
    request = prepare(one_tool(f"{category}request: {request_line}\n{PARAMS}", top), **given)
    assert request.url == f"{ORIGIN}/x{'?' if query else ''}{query}"
    assert request.body == body
    found = [(name.lower(), text) for name, text in request.headers if name.lower() == "content-type"]
    assert found == ([content_type] if content_type else [])


def test_a_post_with_nothing_to_send_has_no_body() -> None:
    request = prepare(one_tool(f"{WRITE}request: POST /x/{{a}}/run\nparams: {{a: A text.}}"), a="1")
    assert request.body is None
    assert "content-type" not in {name.lower() for name, _ in request.headers}


@pytest.mark.parametrize(
    ("spec", "given", "body"),
    [
        (NESTED, {"a": "x", "b": 2}, {"content": {"type": "text", "value": "x"}, "count": 2, "fixed": 1}),
        (NESTED, {"b": 2}, {"count": 2, "fixed": 1}),
        (NESTED, {"b": None}, {"count": None, "fixed": 1}),
        (NESTED, {"c": ["p"]}, {"fixed": 1, "c": ["p"]}),
        ("body: {p: '{a}'}", {}, {}),
        (
            "body: {list: [{kind: to, v: '{a}'}, {kind: n, v: '{b}'}]}",
            {"b": 1},
            {"list": [{"kind": "n", "v": 1}]},
        ),
        ("body: {list: [{kind: to, v: '{a}'}], k: {constant: true}}", {}, {"k": {"constant": True}}),
        ("body: {deep: {deeper: {v: '{a}', w: 1}}, b: '{b}', c: '{c}'}", {"c": []}, {"c": []}),
        (GRAPHQL, {"a": "x"}, {"query": GRAPHQL[10:-1], "variables": {"a": "x"}}),
        (GRAPHQL, {"b": None}, {"query": GRAPHQL[10:-1], "variables": {"b": None}}),
    ],
)
def test_a_body_tree_and_graphql(spec: str, given: Any, body: Any) -> None:
    request = prepare(one_tool(f"{WRITE}request: POST /x\n{PARAMS}\n{spec}"), **given)
    assert json.loads(request.body or b"") == body


@pytest.mark.parametrize(("given", "body"), [({"c": ["p"]}, b'["p"]'), ({}, b"{}")])
def test_one_argument_is_the_whole_body(given: Any, body: bytes) -> None:
    spec = f"{WRITE}request: POST /x\nparams: {{c: {{type: array, items: A text.}}}}\nbody: '{{c}}'"
    assert prepare(one_tool(spec), **given).body == body


def test_graphql_goes_to_base_url_as_json_even_where_bodies_are_forms() -> None:
    request = prepare(one_tool(f"{WRITE}{GRAPHQL}\n{PARAMS}", "encoding: form"), a="1")
    assert (request.method, request.url) == ("POST", ORIGIN)
    assert ("Content-Type", "application/json") in request.headers


def test_a_body_tree_as_a_form() -> None:
    spec = f"{WRITE}request: POST /x\nparams: {{a: A text.}}\nbody: {{v: {{w: ['{{a}}', true]}}}}"
    assert prepare(one_tool(spec, "encoding: form"), a="1").body == b"v[w][0]=1&v[w][1]=true"


def test_row_11_a_key_with_a_bracket_and_an_entry_with_a_comma_are_refused() -> None:
    params = (
        "params: {m: {type: object, additionalProperties: {type: string}}, c: {type: array, items: A text.}}"
    )
    form = one_tool(f"{WRITE}request: POST /x\n{params}", "encoding: form")
    comma = one_tool(f"{READ}request: GET /x\n{params}", "lists: comma")
    assert prepare(form, m={"a&b=": "c"}).body == b"m[a%26b%3D]=c"
    assert prepare(comma, c=["a", "b"]).url.endswith("?c=a%2Cb")
    for connector, refused in (
        (form, {"m": {"x[y]": "1"}}),
        (form, {"m": {"x]": "1"}}),
        (comma, {"c": ["a,b"]}),
    ):
        with pytest.raises(ArgumentsError, match=r"bracket|comma"):
            prepare(connector, **refused)


# --- headers ---

HEADERS = """
headers: {X-V: '{a}', x-site: tool}
params: {a: {type: [string, 'null']}}
"""


@pytest.mark.parametrize(
    ("given", "sent"), [({"a": "v1"}, "v1"), ({"a": ""}, ""), ({"a": None}, None), ({}, None)]
)
def test_a_header_is_left_out_when_its_argument_is(given: Any, sent: str | None) -> None:
    top = "settings: {site: {type: string, pattern: '^[a-z]+$'}}\nheaders: {X-Site: '{site}', accept: text/x}"
    request = prepare(one_tool(f"{READ}request: GET /x{HEADERS}", top), {"site": "acme"}, **given)
    names = [name.lower() for name, _ in request.headers]
    assert len(names) == len(set(names))
    headers = dict(zip(names, (text for _, text in request.headers), strict=True))
    assert headers.get("x-v") == sent
    assert (headers["x-site"], headers["accept"]) == ("tool", "text/x")
    assert headers["user-agent"].startswith("mcpgate/")


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\rb", "a\x0bb", "é", " a", "a ", "\t"])
def test_row_10_a_header_takes_no_line_end(value: str) -> None:
    with pytest.raises(ArgumentsError, match="header"):
        prepare(one_tool(f"{READ}request: GET /x{HEADERS}"), a=value)


# --- whether it may be sent twice, and limits ---


@pytest.mark.parametrize(
    ("spec", "repeatable", "key_header"),
    [
        (f"{READ}request: GET /x", "always", ""),
        (f"{READ}request: POST /x\nsafe: true", "always", "Key"),
        (f"{WRITE}request: POST /x", "always", "Key"),
        (f"{WRITE}request: PATCH /x", "always", "Key"),
        (f"{WRITE}request: PUT /x", "unsent", ""),
        (f"{WRITE}request: DELETE /x", "unsent", ""),
        (f"{WRITE}request: GET /x", "unsent", ""),
    ],
)
def test_row_30_what_may_be_repeated(spec: str, repeatable: str, key_header: str) -> None:
    request = prepare(one_tool(spec, "idempotency: Key"))
    assert (request.repeatable, request.key_header) == (repeatable, key_header)
    without = prepare(one_tool(spec))
    assert without.key_header == ""
    assert without.repeatable == ("always" if READ in spec else "unsent")


def test_an_address_too_long_for_any_server_is_refused() -> None:
    assert prepare(path_tool("/x?q={x}"), x="a" * 30_000).url.endswith("a")
    with pytest.raises(ArgumentsError, match="KiB"):
        prepare(path_tool("/x?q={x}"), x="é" * 6000)


@settings(deadline=None)
@given(some.dictionaries(some.sampled_from("abc"), some.text(some.characters(exclude_categories=["Cs"]))))
def test_the_http_library_sends_the_query_as_it_was_built(given: dict[str, str]) -> None:
    spec = f"{READ}request: GET /x?q[]={{a}}&r'=~{{b}}\nparams: {{a: {FREE}, b: {FREE}, c: {FREE}}}"
    if any("\0" in text for text in given.values()):
        return
    url = prepare(one_tool(spec), **given).url
    assert str(httpx2.URL(url)) == url
    assert urlsplit(url).path == "/v1/x"
