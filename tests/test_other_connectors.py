"""Two more connectors, YAML only, taken through a gateway to a server: the language is not one API's."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mcpgate import catalog
from mcpgate.engine.connection import Connection
from mcpgate.engine.network import Network
from mcpgate.spec.connector import read_connector
from mcpgate.values import Outcome, Source
from tests.engine.rig import Rig
from tests.other_apis import SITE, TOKEN, USER, Board, Wiki
from tests.scenarios import Answer
from tests.standins.gateway import InProcess
from tests.standins.loopback import Loopback

FOLDER = Path(__file__).parent / "connectors"


class ToLoopback(Network):
    """What name service and TLS do elsewhere: a request for https://acme.wiki.example reaches this server."""

    def __init__(self, server: Loopback) -> None:
        super().__init__()
        self._url = server.url

    async def _connect(self, origin: str) -> Connection:
        assert origin == f"https://{SITE}.wiki.example"
        return await super()._connect(self._url)


@pytest.fixture
def wiki(request: pytest.FixtureRequest) -> Iterator[tuple[Wiki, Rig, Loopback]]:
    lists = getattr(request, "param", "comma")
    text = (FOLDER / "wiki.yaml").read_text(encoding="utf-8").replace("lists: comma", f"lists: {lists}")
    connector = read_connector("wiki.yaml", text.encode(), Source("file", "wiki.yaml", ""))
    api = Wiki(lists)
    settings = {"site": SITE, "user": USER}
    with Loopback(otherwise=api) as server, Rig(connector, TOKEN, settings, ToLoopback(server)) as rig:
        yield api, rig, server


def value(outcome: Outcome | Answer) -> Any:
    assert not outcome.is_error, outcome.text
    return json.loads(outcome.text)


def every_page(rig: Rig, tool: str, **arguments: Any) -> list[list[Any]]:
    """All pages of a list, each call with what the one before said to add."""
    pages = []
    while True:
        page = value(rig.call(tool, **arguments))
        pages.append(page["items"])
        if "next" not in page:
            return pages
        arguments |= page["next"]
        assert len(pages) < 9


IDS = [{"id": f"p{number}", "title": f"Page {number}"} for number in range(1, 6)]


@pytest.mark.parametrize(
    ("tool", "arguments", "pages"),
    [
        ("wiki_list_pages", {}, [IDS[:2], IDS[2:4], IDS[4:]]),
        ("wiki_list_pages", {"page": 3}, [IDS[4:]]),
        ("wiki_search", {"words": "Page"}, [IDS[:2], IDS[2:4], IDS[4:]]),
        ("wiki_search", {"words": "Page 2"}, [IDS[1:2]]),
        ("wiki_search", {"words": "a & b=c"}, [[]]),
        (
            "wiki_list_changes",
            {},
            [[{"page": f"p{n}", "by": "me"} for n in (5, 4, 3, 2)], [{"page": "p1", "by": "me"}]],
        ),
        (
            "wiki_list_comments",
            {"page": "p1"},
            [[{"id": f"m{n}", "text": "hm"} for n in (at, at + 1)] for at in (0, 2)],
        ),
    ],
)
def test_a_list_is_read_page_by_page(
    wiki: tuple[Wiki, Rig, Loopback], tool: str, arguments: Any, pages: list[list[Any]]
) -> None:
    assert every_page(wiki[1], tool, **arguments) == pages


@pytest.mark.parametrize(
    ("wiki", "query"),
    [
        ("comma", "labels=a%2Cb%20c"),
        ("repeat", "labels=a&labels=b%20c"),
        ("brackets", "labels[]=a&labels[]=b%20c"),
    ],
    indirect=["wiki"],
)
def test_a_list_of_labels_is_written_as_the_connector_says(
    wiki: tuple[Wiki, Rig, Loopback], query: str
) -> None:
    api, rig, server = wiki
    api.pages["p4"]["labels"] = ["a", "b c", "d"]
    found = value(rig.call("wiki_list_pages", labels=["a", "b c"]))
    assert found == {"items": [{"id": "p4", "title": "Page 4", "labels": ["a", "b c", "d"]}]}
    assert server.requests[-1].target == f"/api/v2/pages?{query}"


def test_a_page_is_created_read_changed_and_deleted(wiki: tuple[Wiki, Rig, Loopback]) -> None:
    api, rig, server = wiki
    made = value(rig.call("wiki_create_page", title="Reise & Kosten", parent="p1", labels=["hr"]))
    assert made == {"id": "p6", "title": "Reise & Kosten", "version": 1, "parent": {"id": "p1"}}
    sent = json.loads(server.requests[-1].body)
    page = {"title": "Reise & Kosten", "parent": {"kind": "page", "id": "p1"}, "pinned": False}
    assert sent == {"page": page, "labels": ["hr"]}

    assert value(rig.call("wiki_update_page", page="p6", text="neu", version="1")) == {
        "id": "p6",
        "version": 2,
    }
    assert server.requests[-1].headers["if-match"] == "1"
    assert value(rig.call("wiki_update_page", page="p6", text="neuer"))["version"] == 3
    assert "if-match" not in server.requests[-1].headers
    stale = rig.call("wiki_update_page", page="p6", text="alt", version="1")
    assert dict(stale.structured or {}) == {
        "error": "the API answered 412",
        "status": 412,
        "message": "changed meanwhile",
        "hint": "Read the page again; it has a newer version.",
    }

    assert value(rig.call("wiki_set_labels", page="p6", labels=["a,b"])) == {}
    assert server.requests[-1].body == b'["a,b"]'
    assert value(rig.call("wiki_get_page", page="p6"))["body"] == {"text": "neuer"}
    assert value(rig.call("wiki_delete_page", page="p6", reason="a&b")) == {}
    assert api.changes[-1]["why"] == "a&b"
    assert "no such page" in rig.call("wiki_get_page", page="p6").text


def test_an_error_inside_200(wiki: tuple[Wiki, Rig, Loopback]) -> None:
    api, rig, _ = wiki
    api.pages["p1"]["locked"] = True
    outcome = rig.call("wiki_delete_page", page="p1")
    assert outcome.is_error
    facts = dict(outcome.structured or {})
    assert (facts["status"], facts["code"], facts["message"]) == (200, "page_locked", "p1 is being edited")
    assert facts["hint"].startswith("Someone else is editing")
    assert rig.store.rows[-1].outcome == "failed"
    assert value(rig.call("wiki_get_page", page="p1"))["id"] == "p1"
    assert rig.store.rows[-1].request_id == "r-1"


@pytest.mark.parametrize("path", ["handbook/travel.md", "a b/ü.md", "x.md"])
def test_a_path_keeps_its_slashes_and_a_text_comes_as_it_is(
    wiki: tuple[Wiki, Rig, Loopback], path: str
) -> None:
    outcome = wiki[1].call("wiki_read_file", path=path)
    if not path.isascii():
        assert "ASCII" in outcome.text
        return
    assert outcome.text == path.replace(" ", "%20")


@pytest.mark.parametrize("path", ["../pages/p1", "a/../../pages", "a//b", "/etc", "a/%2e%2e/b", ""])
def test_row_10_a_path_stays_below_its_folder(wiki: tuple[Wiki, Rig, Loopback], path: str) -> None:
    assert wiki[1].call("wiki_read_file", path=path).is_error
    assert not wiki[2].requests


@pytest.mark.parametrize(
    ("settings", "secret", "says"),
    [
        ({"site": SITE, "user": "bob@acme.example"}, TOKEN, "no such user; no such token"),
        ({"site": SITE, "user": USER}, "wt_other", "no such user; no such token"),
    ],
)
def test_the_user_name_is_a_setting(settings: dict[str, str], secret: str, says: str) -> None:
    with Loopback(otherwise=Wiki()) as server:
        connector = catalog.load_connector(str(FOLDER / "wiki.yaml"))
        with Rig(connector, secret, settings, ToLoopback(server)) as rig:
            assert says in rig.call("wiki_list_pages").text


# --- GraphQL ---


@pytest.fixture
def board(tmp_path: Path) -> Iterator[tuple[Board, Callable[..., Answer], Loopback]]:
    api = Board()
    with Loopback(otherwise=api) as server:
        text = (
            (FOLDER / "board.yaml").read_text(encoding="utf-8").replace("https://board.example", server.url)
        )
        copy = tmp_path / "board.yaml"
        copy.write_text(text, encoding="utf-8")
        with InProcess(copy, "brd_test_1") as gateway:
            yield api, gateway.call, server


def test_graphql_pages_and_variables(board: tuple[Board, Callable[..., Answer], Loopback]) -> None:
    _, call, server = board
    first = value(call("board_list_issues", filter={"title": "Issue", "states": []}))
    assert first["items"] == [
        {"id": f"i{n}", "title": f"Issue {n}", "state": {"name": "open"}} for n in (0, 1)
    ]
    variables = json.loads(server.requests[-1].body)["variables"]
    assert variables == {"first": 2, "filter": {"title": "Issue", "states": []}}
    last = value(call("board_list_issues", first=3, **first["next"]))
    assert [issue["id"] for issue in last["items"]] == ["i2", "i3", "i4"]
    assert "next" not in last


def test_graphql_writes_and_a_null_is_a_value(board: tuple[Board, Callable[..., Answer], Loopback]) -> None:
    api, call, server = board
    text = 'Quote "this" } { $x'
    made = value(call("board_create_issue", input={"title": text, "estimate": None}))
    assert made == {"id": "i5", "title": text, "estimate": None, "state": {"name": "open"}}
    assert json.loads(server.requests[-1].body)["variables"] == {"input": {"title": text, "estimate": None}}
    assert api.issues[-1]["title"] == text
    read = value(call("board_get_issue", id="i5"))
    # fields leave out what is null
    assert read == {"id": "i5", "title": text, "state": {"name": "open"}}


def test_graphql_errors_inside_200(board: tuple[Board, Callable[..., Answer], Loopback]) -> None:
    answer = board[1]("board_get_issue", id="i99")
    assert answer.is_error
    facts = answer.structured
    assert (facts["status"], facts["code"], facts["message"]) == (200, "NOT_FOUND", "No issue i99")
    assert facts["hint"] == "There is no such issue."


def test_rest_beside_graphql(board: tuple[Board, Callable[..., Answer], Loopback]) -> None:
    assert value(board[1]("board_list_labels", ids=[3, 4])) == [{"id": 3}, {"id": 4}]
    assert board[2].requests[-1].target == "/labels?ids[]=3&ids[]=4"


def test_a_key_of_the_wrong_kind_is_not_sent(tmp_path: Path) -> None:
    with Loopback(otherwise=Board()) as server:
        text = (
            (FOLDER / "board.yaml").read_text(encoding="utf-8").replace("https://board.example", server.url)
        )
        copy = tmp_path / "board.yaml"
        copy.write_text(text, encoding="utf-8")
        for key, says in (
            ("other_1", "does not look like"),
            ("brd_live_1", "--live"),
            ("", "MCPGATE_BOARD_KEY"),
        ):
            with InProcess(copy, key) as gateway:
                answer = gateway.call("board_list_issues")
            assert says in answer.text
        assert not server.requests
