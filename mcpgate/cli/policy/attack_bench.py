"""The real steps of a call, from its line to its request, for attempts that are never sent."""

from __future__ import annotations

import json
from collections.abc import Coroutine, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeVar

from mcpgate.apps import Grant
from mcpgate.attack.attempt import Attempt, Shot
from mcpgate.attack.honest import Refusal
from mcpgate.attack.spelling import text_for
from mcpgate.attack.wire import Wire, read_wire
from mcpgate.engine import request as requests
from mcpgate.errors import ArgumentsError, DeniedError, RefusedError, UnknownToolError
from mcpgate.gateway import Gateway
from mcpgate.places import MISSING, Place
from mcpgate.secrets import Scrubber
from mcpgate.server.messages import Call, Conversation
from mcpgate.store.memory import MemoryStore
from mcpgate.toolset import Entry, Toolset, build_toolset
from mcpgate.values import Account, Json, Outcome, Reply, Request, Tool

_T = TypeVar("_T")
By = Literal["arguments", "rule", "harmless", "failure"]

_CLIENT: Final = {"name": "attack", "version": "1"}
_HELLO: Final = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": _CLIENT}


@dataclass(frozen=True, slots=True)
class Held:
    """An attempt that got nowhere, and by what."""

    by: By
    says: str = ""
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sent:
    """A request that would have gone out; `taken` where our own wire took the line as well."""

    request: Request
    taken: bool = True


class _Recorder:
    """The backend of an attack: builds requests as they are, and answers lookups with what was made up."""

    def __init__(self) -> None:
        self.before: Json = MISSING

    def prepare(self, tool: Tool, arguments: Mapping[str, Json], account: Account) -> Request:
        return requests.build(account, tool, arguments)

    async def send(self, request: Request, account: Account, key: str) -> Reply:
        if self.before is MISSING:
            return Reply(request, "failed", 404, {}, None, "404")
        return Reply(request, "succeeded", 200, {}, self.before)

    def shape(self, tool: Tool, reply: Reply, account: Account, mask: tuple[Place, ...] = ()) -> Outcome:
        return Outcome("", is_error=True)

    async def close(self) -> None:
        """Nothing is open."""


class Bench:
    """The way of a call from a line to its request, as `run` has it."""

    def __init__(self, toolset: Toolset) -> None:
        self._now = 0.0
        self._backend = _Recorder()
        self.gateway = Gateway(toolset, self._backend, MemoryStore(), Scrubber(), lambda: self._now)
        self._conversation = Conversation(toolset.listing(), "1")  # type: ignore[arg-type]
        hello = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": _HELLO}
        self._conversation.receive(json.dumps(hello).encode())

    def fire(self, attempt: Attempt) -> Held | Sent:
        """Try it on our own wire; where that refuses the line, as other parsers would have read it."""
        line, shot = attempt.sent_line(), attempt.shot
        answer = self._conversation.receive(line)
        if isinstance(answer, Call):
            self._conversation.refuse(answer, "")
            return self.make(answer.name, answer.arguments, shot)
        for name, arguments in _readings(line, shot):
            made = self.make(name, arguments, shot)
            if isinstance(made, Sent):
                return replace(made, taken=False)
        return Held("arguments", "the line is refused")

    def make(self, name: str, arguments: Json, shot: Shot) -> Held | Sent:
        """A call by the gateway's own steps, to the request that would be sent."""
        self._now, self._backend.before = shot.now, shot.before
        try:
            entry = self.gateway.toolset.find(name)
            call = self.gateway.check(entry, arguments)
            call, spent = _done(self.gateway.look_up(entry, call))
            return Sent(self.gateway.decide(entry, call, spent).request)
        except DeniedError as error:
            reason = error.decision.reason
            return Held("rule", error.message, (reason.field,) if reason and reason.field else ())
        except (ArgumentsError, UnknownToolError) as error:
            return Held("arguments", error.message)
        except RefusedError as error:
            return Held("rule", error.message)
        except Exception as error:  # noqa: BLE001  the gateway refuses a call whatever failed, and so does this
            return Held("failure", type(error).__name__)

    def probe(self, shot: Shot) -> Refusal | None:
        """Why a call would not be made, and at which fields."""
        made = self.make(shot.tool.name, shot.arguments, shot)
        if isinstance(made, Sent):
            return None
        fields = made.fields
        if made.by == "arguments":
            entry = self.gateway.toolset.find(shot.tool.name)
            fields = tuple(_complaints(entry, shot.arguments))
        return Refusal(made.says, fields)

    def without_policy(self, shot: Shot) -> Request | None:
        """What would be sent if there were no rules; None where the tool itself does not take it."""
        try:
            entry = self.gateway.toolset.find(shot.tool.name)
            call = self.gateway.check(entry, shot.arguments)
            return self._backend.prepare(shot.tool, call.arguments, entry.grant.account)
        except (RefusedError, ValueError):
            return None

    def wire(self, request: Request, shot: Shot) -> Wire:
        """A request as a server would read it."""
        account = self.gateway.toolset.find(request.tool.name).grant.account
        return read_wire(request, account, shot.before, shot.now)


# --- wires and accounts ----------------------------------------------------------------------------------


def _done(step: Coroutine[Any, Any, _T]) -> _T:
    """The value of a step that waits for nothing."""
    try:
        step.send(None)
    except StopIteration as end:
        value: _T = end.value
        return value
    raise AssertionError("nothing is waited for here")


def _readings(line: bytes, shot: Shot) -> Iterator[tuple[str, Json]]:
    """The calls that other parsers read in a line: of two keys alike the last, or the first."""
    seen: list[tuple[str, Json]] = [(shot.tool.name, shot.arguments)]
    yield seen[0]
    for keep_first in (False, True):
        try:
            message = _lenient(line, keep_first)
            found = message["params"]["name"], message["params"]["arguments"]
        except (ValueError, LookupError, TypeError, RecursionError):
            continue
        if isinstance(found[0], str) and isinstance(found[1], dict) and found not in seen:
            seen.append(found)
            yield found


def _lenient(line: bytes, keep_first: bool) -> Any:
    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        return dict(reversed(pairs)) if keep_first else dict(pairs)

    text = line.decode(json.detect_encoding(line), "surrogatepass").lstrip("\ufeff\0 \t").rstrip("\0 \t")
    decoder = json.JSONDecoder(object_pairs_hook=members)
    message, end = decoder.raw_decode(text)
    rest = text[end:].lstrip(", \r\n")
    return decoder.raw_decode(rest)[0] if rest.startswith("{") and not keep_first else message


def _complaints(entry: Entry, arguments: Json) -> Iterator[str]:
    """The fields that a tool's own schema complains of."""
    for error in entry.validator.iter_errors(arguments):
        path = [str(step) for step in error.absolute_path if isinstance(step, str)]
        missing = error.validator_value if error.validator == "required" else ()
        absent = [name for name in missing if name not in error.instance]
        yield from (".".join([*path, name]) for name in absent or [""] if path or name)


def with_accounts(toolset: Toolset) -> Toolset:
    """The same toolset on accounts with an address: settings that have no value get a made-up one."""
    app = toolset.app
    grants = tuple(Grant(_account(grant.account), grant.preset) for grant in app.grants)
    return build_toolset(replace(app, grants=grants))


def _account(account: Account) -> Account:
    connector = account.connector
    settings = {name: str(_setting(schema)) for name, schema in connector.settings.items()}
    url = "".join(part if isinstance(part, str) else settings[part.name] for part in connector.base_url.parts)
    origin = "/".join(url.split("/")[:3])
    return replace(account, base_url=url, origin=origin, settings={**settings, **account.settings})


def _setting(schema: Mapping[str, Json]) -> str:
    if "default" in schema:
        return str(schema["default"])
    return next(text_for(schema["pattern"]), "a1") if "pattern" in schema else "a1"
