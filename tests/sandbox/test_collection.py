"""What a sandbox keeps at a path: which tools make it, what it begins with, and what becomes of it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgate.sandbox.collection import Collection, fresh, gather, identity, lists, part_of
from mcpgate.values import Tool
from tests.engine.rig import load, one_tool


def tool_of(request: str, rest: str = "") -> Tool:
    method = request.split(" ")[0]
    kind = {"GET": "read", "HEAD": "read", "DELETE": "delete"}.get(method, "write")
    effects = "" if kind == "read" else "effects: []\n"
    reply = "reply: none\n" if method == "HEAD" else ""
    names = set(re.findall(r"\{(\w+)", request)) - {"area"}
    params = "params: {" + ", ".join(f"{name}: Text." for name in sorted(names)) + "}\n"
    spec = f"category: {kind}\nrequest: '{request}'\n{params}{effects}{reply}{rest}"
    return one_tool(spec, "settings: {area: {type: string, pattern: '[a-z]+'}}").tools["t_x"]


LISTED = "paginate: {next: {page: +page}, items: data, params: {page: {type: integer}}}"


@pytest.mark.parametrize(
    ("request_line", "rest", "role", "path", "name"),
    [
        ("POST /customers", "", "create", "customers", ""),
        ("GET /customers", LISTED, "list", "customers", ""),
        ("GET /customers", "sample: [{id: 1}]", "list", "customers", ""),
        ("GET /customers", "sample: {rows: [{id: 1}], n: 1}", "list", "customers", ""),
        ("GET /customers", "", "list", "customers", ""),
        ("GET /customers/{customer}", "", "item", "customers", "customer"),
        ("DELETE /customers/{customer}", "", "item", "customers", "customer"),
        ("POST /customers/{customer}", "", "item", "customers", "customer"),
        ("GET /files/{path...}", "", "item", "files", "path"),
        # what stands after the placeholder stands after the collection too
        ("GET /Messages/{sid}.json", "", "item", "Messages.json", "sid"),
        ("GET /users/@{name}", "", "item", "users", "name"),
        ("POST /Messages.json", "", "create", "Messages.json", ""),
        # a slash at the end is not one more part
        ("GET /customers/", LISTED, "list", "customers", ""),
        ("GET /customers/{customer}/", "", "item", "customers", "customer"),
        ("GET /", "sample: [{id: 1}]", "list", "", ""),
        ("GET /{name}", "", "item", "", "name"),
        # a setting is the same for every call
        ("POST /{area}/maps", "", "create", "{area}/maps", ""),
        ("GET /{area}/maps/{map}", "", "item", "{area}/maps", "map"),
        ("GET /{area}", "sample: [{id: 1}]", "list", "{area}", ""),
        # what is none of these
        ("GET /me", "sample: {id: 1, tags: [a]}", "none", "", ""),
        ("GET /balance", "sample: {available: [{n: 1}], pending: [{n: 1}]}", "none", "", ""),
        ("PUT /settings", "", "none", "", ""),
        ("DELETE /customers", "", "none", "", ""),
        ("HEAD /customers", "", "none", "", ""),
        ("POST /customers/{customer}/close", "", "none", "", ""),
        ("GET /repos/{owner}/{repo}", "", "none", "", ""),
        ("GET /repos/{owner}/issues", LISTED, "none", "", ""),
    ],
)
def test_the_shape_of_a_path_says_what_a_tool_does(
    request_line: str, rest: str, role: str, path: str, name: str
) -> None:
    part = part_of(tool_of(request_line, rest))
    assert (part.role, part.path[1], part.name) == (role, path, name)
    assert part.path[0] == ("t" if role != "none" else "")


@pytest.mark.parametrize(
    "spec",
    [
        "category: read\nsafe: true\nrequest: POST /search",
        "category: write\neffects: []\ngraphql: 'mutation { m }'",
        "category: delete\neffects: [erase]\nrequest: POST /delete",
    ],
)
def test_not_every_post_creates(spec: str) -> None:
    assert part_of(one_tool(spec).tools["t_x"]).role == "none"


@pytest.mark.parametrize(
    ("sample", "rest", "place"),
    [
        ("[{id: 1}]", "", ()),
        ("{jobs: [{id: 1}], _class: x}", "", ("jobs",)),
        ("{jobs: [], total: 0}", "", ("jobs",)),
        ("{data: {jobs: [{id: 1}]}}", "unwrap: data\n", ("jobs",)),
        ("{a: [1], b: [2]}", "", None),
        ("{id: 1, tags: [a]}", "", None),
        ("text", "", None),
    ],
)
def test_a_list_without_pagination_is_where_the_sample_has_one(
    sample: str, rest: str, place: tuple[str, ...] | None
) -> None:
    assert lists(tool_of("GET /jobs", f"{rest}sample: {sample}")) == place


@pytest.mark.parametrize(
    ("item", "names", "key"),
    [
        ({"id": "c1", "name": "x"}, ["customer"], "id"),
        ({"id": 7, "number": 1}, ["number"], "number"),
        ({"id": 7, "number": 1}, ["issue_number"], "number"),
        ({"sid": "SM1", "id": None}, ["sid"], "sid"),
        ({"Sid": "SM1"}, ["messageSid"], "Sid"),
        ({"id": "x", "customer_id": "c1"}, ["customerId"], "customer_id"),
        ({"accountId": "a1"}, ["account"], "accountId"),
        ({"uuid": "u"}, ["uuid"], "uuid"),
        ({"key": "ABC-1", "id": "100"}, ["key"], "key"),
        ({"id": "c1", "customer": {"name": "x"}}, ["customer"], "id"),
        ({"id": "c1", "active": True}, ["active"], "id"),
        ({"id": 0}, [], "id"),
        ({"id": "", "name": "x"}, [], ""),
        ({"id": True}, [], ""),
        ({"name": "x"}, ["customer"], ""),
    ],
)
def test_the_member_that_identifies_an_item(item: dict[str, Any], names: list[str], key: str) -> None:
    assert identity(item, names) == key


@pytest.mark.parametrize(
    ("model", "looks"),
    [
        ("cus_QXg1o8vcGmoR32", r"cus_[A-Z]{2}[a-z]\d[a-z]\d[a-z]{2}[A-Z][a-z]{2}[A-Z]\d{2}"),
        ("ABC-1", r"ABC-[2-9]"),
        ("10000", r"1000[1-9]"),
        ("0007", r"00(0[89]|1\d)"),
        ("SM1", r"SM[2-9]"),
        ("SM0a1b2c3d4e5f60718293a4b5c6d7e8f9", r"SM[0-9a-f]{32}"),
        ("rec1", r"rec[2-9]"),
        ("recAbC1dEf2", r"rec[A-Z][a-z][A-Z]\d[a-z][A-Z][a-z]\d"),
        ("dbid:1", r"dbid:[2-9]"),
        ("17c9a8e0b2", r"[0-9a-f]{10}"),
        (
            "59833787-2cf9-4fdf-8782-e53db20768a5",
            r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
        ),
        ("web", r"[a-z]{8}"),
        ("https://x.example/things/12", r"https://x\.example/things/1[3-9]"),
        ("***", r"\*\*[a-z*]{8}"),
        (7, r"[89]|1\d"),
    ],
)
def test_a_fresh_identity_looks_like_the_samples(model: Any, looks: str) -> None:
    made = [fresh(model, number) for number in range(1, 4)]
    assert all(re.fullmatch(looks, str(one)) for one in made), made
    assert len({*made, model}) == 4
    assert made == [fresh(model, number) for number in range(1, 4)], "another run makes the same ones"
    assert all(type(one) is type(model) for one in made)


@given(model=st.text(min_size=1, max_size=12) | st.integers())
def test_there_is_always_another_fresh_identity(model: Any) -> None:
    collection = Collection("id")
    collection.seed({"id": model})
    assert len({collection.create({"id": model}, {})["id"] for _ in range(5)} | {model}) == 6


THINGS = load("""
tools:
  t_get_thing:
    {description: A., category: read, request: 'GET /things/{number}', params: {number: {type: integer}},
     sample: {id: 90, number: 2, name: two, more: true}}
  t_create_thing:
    {description: A., category: write, effects: [], request: POST /things, params: {name: Text.},
     sample: {id: 91, number: 1, name: created, made: yes}}
  t_list_things:
    {description: A., category: read, request: GET /things, unwrap: data,
     sample: {data: {things: [{id: 92, number: 3, name: three}, {id: 93, number: 2, name: listed}]}}}
  t_delete_thing:
    {description: A., category: delete, effects: [], request: 'DELETE /things/{number}',
     params: {number: {type: integer}}, sample: {id: 93, number: 2, name: listed, gone: true}}
  t_get_other:
    {description: A., category: read, request: 'GET /others/{id}', params: {id: I.}, sample: {id: 1}}
  t_create_note:
    {description: A., category: write, effects: [], request: POST /notes, params: {}, sample: {name: x}}
""")


def things() -> Collection:
    return gather(THINGS.tools.values())["t", "things"]


def test_a_collection_begins_with_what_its_samples_show() -> None:
    """Each sample once, the list's own in its order as the newest; of two for one item, its words count."""
    assert gather(THINGS.tools.values()).keys() == {("t", "things")}
    assert things().key == "number"
    assert things().newest() == [
        {"id": 92, "number": 3, "name": "three"},
        {"id": 93, "number": 2, "name": "listed", "more": True},
        {"id": 91, "number": 1, "name": "created", "made": "yes"},
    ]


def test_an_item_is_created_changed_and_deleted() -> None:
    own, sample = things(), THINGS.tools["t_create_thing"].sample
    before = json.dumps(sample)
    made = own.create(sample, {"name": "new", "number": 1, "unknown": "x"})
    assert made == {"id": 91, "number": 4, "name": "new", "made": "yes"}
    assert own.newest()[0] == made
    own.change("4", {"name": "newer", "number": 9, "unknown": "x"})
    assert own.items["4"] == {**made, "name": "newer"}

    # of the sample of a deletion only what the deletion changes: not the name, which is its own item's
    own.delete("4", THINGS.tools["t_delete_thing"].sample)
    assert own.items["4"] == {"id": 91, "number": 4, "name": "newer", "made": "yes", "gone": True}
    own.delete("4", {"number": 99, "lost": True})
    assert (own.items["4"]["number"], own.items["4"]["lost"]) == (4, True)
    own.delete("4", None)
    assert "4" not in own.items
    assert own.create(sample, {})["number"] == 5, "an identity is not given twice"
    assert json.dumps(sample) == before


@pytest.mark.parametrize(
    ("sample", "model"),
    [
        ({"number": 8, "x": 1}, {"number": 8, "x": 1}),
        (None, {"id": 92, "number": 3, "name": "three"}),
        ({"ok": True}, None),
        ({"number": None}, None),
        (["x"], None),
        ("text", None),
    ],
)
def test_what_a_new_item_begins_as(sample: Any, model: Any) -> None:
    own = things()
    own.change("3", {"name": "changed"})
    assert own.model(sample) == model
