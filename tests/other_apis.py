"""The two APIs behind tests/connectors: each in memory, and strict about every byte it is sent."""

from __future__ import annotations

import base64
import json
import re
from typing import Any
from urllib.parse import unquote

from tests.standins.loopback import Captured, Reply

TOKEN, USER, SITE = "wt_4711", "ada@acme.example", "acme"


class Wiki:
    """A wiki for one user: JSON bodies, paths with slashes, four ways to page, errors inside 200."""

    def __init__(self, lists: str = "comma") -> None:
        self.lists = lists
        self.pages: dict[str, dict[str, Any]] = {}
        self.changes: list[dict[str, Any]] = []
        for number in range(1, 6):
            self._add({"title": f"Page {number}", "body": {"format": "markdown", "text": "x" * number}})

    def __call__(self, request: Captured) -> Reply:
        """Answer one request."""
        given = base64.b64encode(f"{USER}:{TOKEN}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {given}":
            return Reply.json({"errors": [{"detail": "no such user"}, {"detail": "no such token"}]}, 401)
        if request.headers["host"] != f"{SITE}.wiki.example" or request.headers["x-wiki-site"] != SITE:
            return Reply(421, b"<h1>Misdirected</h1>", {"Content-Type": "text/html"})
        if request.body and request.headers.get("content-type") != "application/json":
            return Reply(415, b"")
        parts = request.path.removeprefix("/api/v2/").split("/")
        query = dict(request.query)
        if len(query) < len(request.query) and self.lists == "comma":
            return Reply.json({"errors": [{"detail": "a name came twice"}]}, 400)
        match request.method, [unquote(part) for part in parts]:
            case "GET", ["pages"]:
                return self._list(request, query)
            case "GET", ["search"]:
                words, start = query.pop("cql").removeprefix("text~"), int(query.pop("start", "0"))
                found = [page for page in self.pages.values() if words in page["title"]]
                assert query == {"expand": "none"}
                return Reply.json({"results": found[start : start + 2], "total": len(found)})
            case "GET", ["changes"]:
                page = int(query.get("page", "1"))
                changes = self.changes[::-1][page * 4 - 4 : page * 4]
                return Reply.json({"changes": changes, "pages": -(-len(self.changes) // 4)})
            case "GET", ["pages", _, "comments"]:
                at = int(query.get("cursor", "c0")[1:])
                data = [{"id": f"m{number}", "text": "hm", "author": USER} for number in range(at, at + 2)]
                return Reply.json({"data": data, "meta": {"next": f"c{at + 2}", "more": at < 2}})
            case "GET", ["files", *_, "raw"] if "%2F" not in request.path:
                return Reply(200, "/".join(parts[1:-1]).encode(), {"Content-Type": "text/markdown"})
            case "POST", ["pages"]:
                new = json.loads(request.body)
                assert new.keys() <= {"page", "labels"}
                return Reply.json({"page": self._add(new["page"] | {"labels": new.get("labels", [])})}, 201)
            case method, ["pages", page, *rest]:
                return self._page(method, page, rest, request)
            case _:
                return Reply(
                    404, b"<html><title>Not found</title><p>Nothing here.", {"Content-Type": "text/html"}
                )

    def _list(self, request: Captured, query: dict[str, str]) -> Reply:
        wanted = [text for name, text in request.query if name in ("labels", "labels[]")]
        if self.lists == "comma":
            wanted = [label for text in wanted for label in text.split(",")]
        assert self.lists != "brackets" or "labels" not in query
        found = [page for page in self.pages.values() if set(wanted) <= set(page.get("labels", []))]
        page = int(query.get("page", "1"))
        address = f"https://{SITE}.wiki.example/api/v2/pages?page="
        links = [f'<{address}1>; rel="first"']
        links += [f'<{address}{page + 1}>; rel="next"'] if len(found) > page * 2 else []
        return Reply.json(found[page * 2 - 2 : page * 2], headers={"Link": ", ".join(links)})

    def _page(self, method: str, name: str, rest: list[str], request: Captured) -> Reply:
        page = self.pages.get(name)
        if page is None:
            return Reply.json({"errors": [{"detail": "no such page"}]}, 404)
        if page.get("locked") and method != "GET":
            return Reply.json({"fault": {"name": "page_locked", "text": f"{name} is being edited"}})
        if method == "DELETE" and not rest:
            self.changes.append({"page": name, "by": "me", "why": dict(request.query).get("reason")})
            del self.pages[name]
            return Reply(204)
        if method == "PUT" and rest == ["labels"]:
            page["labels"] = json.loads(request.body)
            assert isinstance(page["labels"], list)
            return Reply(200, b"")
        if method == "PUT":
            if request.headers.get("if-match", str(page["version"])) != str(page["version"]):
                return Reply.json({"errors": [{"detail": "changed meanwhile"}]}, 412)
            assert request.query == [("notify", "false")]
            page["body"], page["version"] = json.loads(request.body), page["version"] + 1
        return Reply.json({"page": page, "fault": None}, headers={"X-Request-Id": "r-1"})

    def _add(self, page: dict[str, Any]) -> dict[str, Any]:
        name = f"p{len(self.pages) + 1}"
        self.pages[name] = {"id": name, "version": 1, "author": {"mail": USER}, **page}
        self.changes.append({"page": name, "by": "me"})
        return self.pages[name]


class Board:
    """A tracker behind one GraphQL address, which says 200 whatever happens, and a small REST corner."""

    def __init__(self) -> None:
        self.issues = [
            {
                "id": f"i{number}",
                "title": f"Issue {number}",
                "estimate": None,
                "state": {"name": "open", "id": 1},
            }
            for number in range(5)
        ]

    def __call__(self, request: Captured) -> Reply:
        """Answer one request."""
        if not request.headers.get("authorization", "").startswith("brd_test_"):
            return Reply.json({"errors": [{"message": "Who are you?", "extensions": {"code": "AUTH"}}]}, 401)
        if request.path == "/labels":
            assert {name for name, _ in request.query} == {"ids[]"}
            return Reply.json([{"id": int(text)} for _, text in request.query])
        assert (request.method, request.target) == ("POST", "/graphql")
        assert request.headers["content-type"] == "application/json"
        sent = json.loads(request.body)
        assert sent.keys() == {"query", "variables"}
        assert set(sent["variables"]) <= set(re.findall(r"\$(\w+):", sent["query"]))
        try:
            return Reply.json({"data": self._run(sent["query"], **sent["variables"])})
        except KeyError as error:
            fault = {"message": f"No issue {error.args[0]}", "extensions": {"code": "NOT_FOUND"}}
            return Reply.json({"data": None, "errors": [fault]})

    def _run(self, document: str, first: int = 0, after: str = "", filter: Any = None, **named: Any) -> Any:  # noqa: A002
        if document.startswith("mutation Create("):
            issue = {"id": f"i{len(self.issues)}", "estimate": 1, "state": {"name": "open"}, **named["input"]}
            self.issues.append(issue)
            return {"create": {"issue": issue}}
        if document.startswith("query Issue("):
            found = [issue for issue in self.issues if issue["id"] == named["id"]]
            if not found:
                raise KeyError(named["id"])
            return {"issue": found[0]}
        start = int(after.removeprefix("after-") or 0)
        part = (filter or {}).get("title", "")
        matching = [issue for issue in self.issues if part in str(issue["title"])]
        page = {"endCursor": f"after-{start + first}", "hasNextPage": len(matching) > start + first}
        return {"issues": {"nodes": matching[start : start + first], "pageInfo": page}}
