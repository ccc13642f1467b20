"""Every YAML file there is, shipped or of the tests: a new connector, preset or story brings no test code."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
import yaml
from hypothesis import find, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from mcpgate import catalog
from mcpgate.apps import open_account
from mcpgate.arguments import check_arguments
from mcpgate.cli.check import check_files
from mcpgate.engine.request import build
from mcpgate.engine.response import read, shape
from mcpgate.engine.sandbox import SandboxTransport
from mcpgate.errors import ArgumentsError
from mcpgate.json_schema import build_validator
from mcpgate.spec.story import read_story
from mcpgate.values import Account, Connector, Tool
from tests.engine.rig import Rig

ROOT = Path(__file__).parents[1]
QUICK = settings(max_examples=50, database=None)
FORMATS = {
    "date": "2026-11-22",
    "date-time": "2026-11-22T12:00:00Z",
    "time": "12:00:00Z",
    "email": "a@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uuid": "59833787-2cf9-4fdf-8782-e53db20768a5",
}


def files_of(kind: str) -> list[Path]:
    """Every YAML file whose first key says that it is of this kind."""
    found = [
        path for folder in ("connectors", "presets", "tests") for path in (ROOT / folder).rglob("*.yaml")
    ]
    begins = re.compile(rf"^{kind}:", re.MULTILINE)
    own = (path for path in found if "node_modules" not in path.parts and "cassettes" not in path.parts)
    return sorted(path for path in own if begins.search(path.read_text("utf-8")))


def named(paths: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", paths, ids=lambda path: path.stem)


CONNECTORS = named(files_of("connector"))
PRESETS = named(files_of("preset"))
STORIES = named(files_of("demo") + files_of("test"))


def example(schema: dict[str, Any]) -> Any:
    """A value that a parameter takes."""
    if "enum" in schema or "const" in schema:
        return schema["enum"][0] if "enum" in schema else schema["const"]
    if "anyOf" in schema or "oneOf" in schema:
        return example((schema.get("anyOf") or schema["oneOf"])[0])
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    kind = next(kind for kind in kinds if kind != "null")
    if kind == "object":
        members = {name: example(member) for name, member in schema.get("properties", {}).items()}
        extra = schema.get("additionalProperties")
        return {**members, **({"key": example(extra) if isinstance(extra, dict) else "x"} if extra else {})}
    if kind == "array":
        return [example(schema["items"])] * max(1, schema.get("minItems", 1))
    if kind in ("integer", "number"):
        return schema.get("minimum", schema.get("maximum", 1))
    if kind == "boolean":
        return True
    if "pattern" in schema:
        return matching(schema["pattern"])
    return FORMATS.get(schema.get("format", ""), "x" * max(1, schema.get("minLength", 1)))


@cache
def matching(pattern: str) -> str:
    """The plainest text that a pattern takes."""
    texts = st.from_regex(
        pattern, fullmatch=pattern.startswith("^"), alphabet=st.characters(max_codepoint=126)
    )
    return find(texts, lambda text: text.isprintable() and text[:1].isalnum(), settings=QUICK)


def arguments_of(tool: Tool) -> dict[str, Any]:
    """An argument for every parameter, but for those that exclude each other."""
    excluded = {name for group in tool.exactly_one for name in group[1:]}
    return {name: example(s) for name, s in tool.schema["properties"].items() if name not in excluded}


def settings_of(connector: Connector) -> dict[str, str]:
    return {
        name: matching(f"^(?:{s['pattern']})$") if "pattern" in s else example(s)
        for name, s in connector.settings.items()
    }


def load(path: Path) -> tuple[Connector, Account]:
    connector = catalog.load_connector(str(path))
    return connector, open_account(connector, settings_of(connector))


def canonical(tool: Tool, arguments: dict[str, Any]) -> dict[str, Any]:
    return check_arguments(tool, build_validator(tool.schema), arguments)


def complaints(listed: dict[str, Any]) -> Iterator[str]:
    """What clients are known to choke on in a tool as it is listed."""
    schema = listed["inputSchema"]
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,49}", listed["name"]):
        yield "name"
    if not listed["description"].strip() or not listed["title"].strip():
        yield "no description or title"
    if schema.get("type") != "object" or schema.keys() & {"anyOf", "oneOf", "allOf", "not", "enum"}:
        yield "root"
    if schema.get("additionalProperties") is not False:
        yield "open"
    if listed["annotations"].keys() != {"readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"}:
        yield "annotations"
    Draft202012Validator.check_schema(schema)
    for part in parts(schema):
        if "$ref" in part:
            yield "$ref"
        if "array" in part.get("type", ()) and "items" not in part:
            yield "an array without items"
        if "errorMessage" in part:
            yield "a key of the language"


def parts(value: Any) -> Iterator[dict[str, Any]]:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if isinstance(value, dict):
        yield value
    for child in children:
        yield from parts(child)


@CONNECTORS
def test_a_connector_passes_check(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert check_files([str(path)]) == 0
    out, err = capfd.readouterr()
    assert f": connector {path.stem}, " in out
    assert err == ""


@CONNECTORS
def test_every_sample_shapes(path: Path) -> None:
    connector, account = load(path)
    for tool in connector.tools.values():
        if tool.sample is None or tool.reply != "json":
            continue
        request = build(account, tool, canonical(tool, arguments_of(tool)))
        reply = read(connector, tool, request, 200, {}, json.dumps(tool.sample).encode())
        outcome = shape(connector, tool, reply)
        assert not outcome.is_error, f"{tool.name}: {outcome.text}"
        result = json.loads(outcome.text)
        for kept in result["items"] if tool.pagination else [result]:
            assert kept, f"{tool.name}: nothing of its sample is left under its fields"
        assert not tool.pagination or result["items"], f"{tool.name}: its sample has no items"


@CONNECTORS
def test_every_placeholder_encodes(path: Path) -> None:
    connector, account = load(path)
    for tool in connector.tools.values():
        arguments = canonical(tool, arguments_of(tool))
        plain = urlsplit(build(account, tool, arguments).url)
        assert f"{plain.scheme}://{plain.netloc}" == account.origin
        for name in (name for segment in tool.request.path for name in segment.names):
            schema = tool.schema["properties"].get(name, {"pattern": ""})
            if "string" not in schema.get("type", ()) or schema.keys() & {"pattern", "enum", "format"}:
                continue
            hostile = urlsplit(build(account, tool, {**arguments, name: "a b?c#d;e"}).url)
            assert quote("a b?c#d;e", safe="") in hostile.path, tool.name
            assert (hostile.query, hostile.fragment) == (plain.query, "")
            for value in ("..", ".", "", "a/../b", "%2e%2e", "a\nb"):
                with pytest.raises(ArgumentsError):
                    build(account, tool, {**arguments, name: value})


@CONNECTORS
def test_every_tool_is_listed_as_clients_can_take_it(path: Path) -> None:
    connector, _ = load(path)
    with Rig(connector, settings=settings_of(connector)) as rig:
        listed = rig.gateway.toolset.listing()["tools"]
    assert [tool["name"] for tool in listed] == list(connector.tools)
    assert not {tool["name"]: found for tool in listed if (found := list(complaints(tool)))}


@CONNECTORS
def test_every_tool_answers_in_the_sandbox(path: Path) -> None:
    """With a result; or, as the sandbox knows what there is, with word of an object that is not there."""
    connector, _ = load(path)
    with Rig(connector, settings=settings_of(connector), transport=SandboxTransport([connector])) as rig:
        for tool in connector.tools.values():
            paging = tool.pagination.params if tool.pagination else ()
            given = {name: value for name, value in arguments_of(tool).items() if name not in paging}
            outcome = rig.call(tool.name, **given)
            missing = any(segment.names for segment in tool.request.path) and "no such object" in outcome.text
            assert not outcome.is_error or missing, f"{tool.name}: {outcome.text}"


@PRESETS
def test_a_preset_loads_and_says_what_it_is_for(path: Path) -> None:
    assert check_files([str(path)]) == 0
    policy = catalog.load_policy(str(path), "preset")
    assert policy.name == path.stem
    assert policy.description
    assert policy.allow


@STORIES
def test_a_story_plays_tools_that_there_are(path: Path) -> None:
    assert check_files([str(path)]) == 0
    story = read_story(path.name, path.read_bytes())
    names = {word for word in story.run if word in catalog.names("connectors")}
    tools = {tool for name in names for tool in catalog.load_connector(name).tools}
    assert {case.tool for case in story.cases} <= tools


@named(sorted(path for folder in ("connectors", "presets") for path in (ROOT / folder).iterdir()))
def test_a_shipped_file_tells_editors_its_schema(path: Path) -> None:
    first = path.read_text("utf-8").splitlines()[0]
    match = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)
    assert match, first
    schema = json.loads((path.parent / match[1]).read_text("utf-8"))
    value = yaml.load(path.read_text("utf-8"), Loader=yaml.BaseLoader)
    assert {key for key in value if not key.startswith("x-")} <= schema["properties"].keys()


def test_there_are_files_to_test() -> None:
    stems = {path.stem for path in files_of("connector")}
    assert {"stripe", "github", "linear"} <= stems
    assert {path.stem for path in files_of("preset")} >= {"read-only", "transact", "full-access"}
    assert files_of("demo")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"name": "a" * 51}, "name"),
        ({"description": " "}, "no description or title"),
        ({"inputSchema": {"additionalProperties": False}}, "root"),
        ({"inputSchema": {"type": "object", "oneOf": [{}], "additionalProperties": False}}, "root"),
        ({"inputSchema": {"type": "object"}}, "open"),
        ({"annotations": {}}, "annotations"),
        ({"deep": {"$ref": "#/x"}}, "$ref"),
        ({"deep": {"type": ["array", "null"]}}, "an array without items"),
        ({"deep": {"errorMessage": "x"}}, "a key of the language"),
    ],
)
def test_the_listing_check_can_fail(change: dict[str, Any], complaint: str) -> None:
    hints = dict.fromkeys(("readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"), True)
    schema = {"type": "object", "properties": {"x": {"not": change.pop("deep", {})}}}
    good = {
        "name": "shop_get",
        "title": "Get",
        "description": "Things.",
        "inputSchema": {**schema, "additionalProperties": False},
        "annotations": hints,
    }
    assert complaint in list(complaints({**good, **change}))
    assert not list(complaints({**good, "inputSchema": {"type": "object", "additionalProperties": False}}))
