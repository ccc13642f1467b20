"""Placeholders and request lines."""

from __future__ import annotations

import re

import pytest

from mcpgate.spec.templates import parse_request, parse_template, whole_placeholder
from mcpgate.values import Placeholder, Template


def segments(line: str) -> list[str]:
    return [str(segment) for segment in parse_request(line).path]


@pytest.mark.parametrize(
    ("line", "method", "path"),
    [
        ("GET /", "GET", []),
        ("GET /customers", "GET", ["customers"]),
        ("DELETE /customers/{customer}", "DELETE", ["customers", "{customer}"]),
        ("GET /Messages/{sid}.json", "GET", ["Messages", "{sid}.json"]),
        ("POST /models/{model}:predict", "POST", ["models", "{model}:predict"]),
        ("PUT /repos/{owner}/contents/{path...}", "PUT", ["repos", "{owner}", "contents", "{path...}"]),
        ("PATCH /files/{path...}/permissions", "PATCH", ["files", "{path...}", "permissions"]),
        ("GET /projects/", "GET", ["projects", ""]),
        ("HEAD /a%20b/~me/@me", "HEAD", ["a%20b", "~me", "@me"]),
    ],
)
def test_a_request_line_is_a_method_and_segments(line: str, method: str, path: list[str]) -> None:
    assert (parse_request(line).method, segments(line)) == (method, path)


@pytest.mark.parametrize(
    ("query", "pairs"),
    [
        ("v=1", [("v", ["1"])]),
        ("a={x}&b={y}", [("a", [Placeholder("x")]), ("b", [Placeholder("y")])]),
        ("DateSent>={after}", [("DateSent>", [Placeholder("after")])]),
        ("q=is:{state}", [("q", ["is:", Placeholder("state")])]),
        ("expand[]=data&fields[a]=b", [("expand[]", ["data"]), ("fields[a]", ["b"])]),
        ("expand=a&expand=b", [("expand", ["a"]), ("expand", ["b"])]),
        ("q=%7Bx%7D%26{x}", [("q", ["{x}&", Placeholder("x")])]),
        ("flag", [("flag", [])]),
        ("q=a=b", [("q", ["a=b"])]),
        ("x%3Dy=1", [("x=y", ["1"])]),
    ],
)
def test_a_query_is_wire_names_with_values(
    query: str, pairs: list[tuple[str, list[str | Placeholder]]]
) -> None:
    assert [(wire, list(value.parts)) for wire, value in parse_request(f"GET /a?{query}").query] == pairs


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("", "write METHOD /path?query"),
        ("GET", "write METHOD /path?query"),
        ("/a", "write METHOD /path?query"),
        ("get /a", "write METHOD /path?query"),
        ("GET  /a", "write METHOD /path?query"),
        ("GET a", "write METHOD /path?query"),
        ("GET /a b", "write METHOD /path?query"),
        ("GET /a#b", "write METHOD /path?query"),
        ("GET https://shop.example/a", "write METHOD /path?query"),
        ("GET /a\nX: y", "write METHOD /path?query"),
        ("TRACE /a", "'TRACE' is not one of GET, HEAD, POST, PUT, PATCH, DELETE"),
        ("GET //shop.example", "empty segment"),
        ("GET /a//b", "empty segment"),
        ("GET /./a", "no dot or slash parts"),
        ("GET /a/../b", "no dot or slash parts"),
        ("GET /%2e./b", "no dot or slash parts"),
        ("GET /a%2fb", "no dot or slash parts"),
        ("GET /a%5cb", "no dot or slash parts"),
        ("GET /ä", "percent-encoded"),
        ("GET /<id>", "percent-encoded"),
        ("GET /:id", "a placeholder is written {id}"),
        ("GET /{id", "a placeholder is written {name}"),
        ("GET /id}", "a placeholder is written {name}"),
        ("GET /{{id}}", "a placeholder is written {name}"),
        ("GET /{}", "a placeholder is written {name}"),
        ("GET /{a b}", "write METHOD /path?query"),
        ("GET /{a.b}", "a placeholder is written {name}"),
        ("GET /{a}{b}", "one placeholder in a path segment"),
        ("GET /x{path...}", "stands alone in its segment"),
        ("GET /a?x={y...}", "{name...} is for paths"),
        ("GET /a?{x}=1", "name=value or name={x}"),
        ("GET /a?=1", "name=value or name={x}"),
        ("GET /a?x={y", "a placeholder is written {name}"),
    ],
)
def test_what_is_no_request_line_is_refused(line: str, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        parse_request(line)


def test_a_template_is_text_and_placeholders() -> None:
    template = parse_template("Refund {amount} of {charge}")
    assert template == Template(("Refund ", Placeholder("amount"), " of ", Placeholder("charge")))
    assert template.names == ("amount", "charge")
    assert str(template) == "Refund {amount} of {charge}"


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("{x}", "x"),
        ("{x-1}", "x-1"),
        (" {x}", None),
        ("{x}{y}", None),
        ("{x...}", None),
        (1, None),
        (None, None),
    ],
)
def test_only_a_lone_placeholder_is_a_whole_value(value: object, name: str | None) -> None:
    assert whole_placeholder(value) == name
