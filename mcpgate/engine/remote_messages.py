"""What is said to an MCP server, and what its answers mean. Pure."""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from mcpgate.engine.hygiene import visible_text
from mcpgate.errors import CredentialError, MCPGateError
from mcpgate.secrets import Scrubber
from mcpgate.values import Fate, Json, Outcome

Message: TypeAlias = dict[str, Json]

ENVELOPE: Final = "2026-07-28"
HANDSHAKES: Final = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
NO_SUCH_METHOD: Final = -32601
INVALID_PARAMS: Final = -32602
NO_SUCH_VERSION: Final = -32022
MAX_DEPTH: Final = 200
NEW_KEY: Final = (
    "It was revoked or replaced, has expired, or belongs elsewhere. A person has to give mcpgate a valid one,"
    " in MCPGATE_APP_KEY or MCPGATE_APP_KEY_FILE, and start it again."
)
_META: Final = "io.modelcontextprotocol/"
# said by what stands in between, or by a server in trouble: no word on what it speaks
_NO_VERDICT: Final = frozenset({408, 429, 502, 503, 504})
_EXCERPT: Final = 300
_MOST_SAID: Final = 2000
_WRAPPED: Final = re.compile(r"=\?base64\?.*\?=")


class RemoteError(MCPGateError):
    """A request without a result: `fate` says whether it may have taken effect all the same.

    `status` is that of HTTP, `code` and `data` are those of a JSON-RPC error, where there was one.
    """

    def __init__(
        self,
        message: str,
        hint: str = "",
        *,
        fate: Fate = "failed",
        status: int = 0,
        code: int | None = None,
        data: Json = None,
    ) -> None:
        super().__init__(message, hint)
        self.fate = fate
        self.status = status
        self.code = code
        self.data = data

    @property
    def may_be_older(self) -> bool:
        """Whether who answers so to `server/discover` may know the handshake."""
        if self.code == NO_SUCH_VERSION:
            known = member(self.data, "supported")
            return not isinstance(known, list) or any(version in HANDSHAKES for version in known)
        return self.code is not None or (self.status >= 400 and self.status not in _NO_VERDICT)


@dataclass(frozen=True, slots=True)
class Speech:
    """How a server is spoken to: a revision, and the session that it gave, in the older ones."""

    version: str
    session: str = ""

    @property
    def modern(self) -> bool:
        """Whether each request says all that it needs, and there is no session."""
        return self.version == ENVELOPE

    def request(self, number: int, method: str, params: Message, client: Message) -> Message:
        """A request, in its envelope where the revision has one."""
        if self.modern:
            envelope = {
                f"{_META}protocolVersion": self.version,
                f"{_META}clientCapabilities": {},
                f"{_META}clientInfo": client,
            }
            params = {**params, "_meta": envelope}
        return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}

    def headers(self, request: Mapping[str, Any] | None = None) -> dict[str, str]:
        """The headers that go with a request, or with what is none."""
        headers = {"MCP-Protocol-Version": self.version}
        if self.session:
            headers["Mcp-Session-Id"] = self.session
        if self.modern and request is not None:
            headers["Mcp-Method"] = request["method"]
            if request["method"] == "tools/call":
                headers["Mcp-Name"] = header_word(request["params"]["name"])
        return headers


def header_word(text: str) -> str:
    """A text as the value of one of MCP's headers: as it is where that can be, else in base64."""
    if text == text.strip() and text.isascii() and text.isprintable() and not _WRAPPED.fullmatch(text):
        return text
    return f"=?base64?{base64.b64encode(text.encode('utf-8', 'replace')).decode()}?="


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads what comes from one origin; nothing of it is told with a secret in it."""

    origin: str
    scrubber: Scrubber

    def message(self, text: str | bytes) -> Message:
        """One message of JSON-RPC; raises `RemoteError`."""
        try:
            message = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
            if not isinstance(message, dict) or message.get("jsonrpc") != "2.0" or _is_too_deep(message):
                raise ValueError
        except (ValueError, RecursionError):
            raise self.unreadable("with something that is no message of MCP") from None
        return message

    def result(self, answer: Message, status: int = 200) -> Message:
        """The result that a request is answered with; raises `RemoteError`."""
        error, result = answer.get("error"), answer.get("result")
        if isinstance(error, dict) and type(code := error.get("code")) is int:
            said = self.told(str(error.get("message", "")), _MOST_SAID) or f"{self.origin}: error {code}"
            raise RemoteError(said, status=status, code=code, data=error.get("data"))
        if not isinstance(result, dict):
            raise self.unreadable("with neither a result nor an error")
        return result

    def refuse(self, status: int, headers: Mapping[str, str], body: bytes, wait: float) -> Message:
        """The JSON-RPC error behind a status that is no success; raises what stands for others."""
        said = self._said(body)
        if status in (401, 403):
            what = f"{self.origin} refuses the app key ({status})" + (f": {said}" if said else ".")
            raise CredentialError(what, NEW_KEY)
        try:
            message = self.message(body)
        except RemoteError:
            message = {}
        if status >= 400 and type(member(message, "error", "code")) is int:
            return message
        what, hint = f"{self.origin} answered {status}" + (f": {said}" if said else "."), ""
        if wait:
            what += f" It asks to wait {math.ceil(wait)} s."
        if 300 <= status < 400:
            place = self.told(headers.get("location", ""))
            what = f"{self.origin} answered {status}, a redirect, which is not followed."
            hint = f"Give the address that serves MCP itself{place and ', perhaps '}{place}."
        elif status in (404, 405):
            hint = "Look at the path of --url: mcpgate serves MCP at /mcp."
        raise RemoteError(what, hint, fate="failed" if 300 <= status < 500 else "unknown", status=status)

    def outcome(self, result: Message) -> Outcome:
        """What the result of a tool is to the agent; raises `RemoteError`."""
        blocks = result.get("content")
        if result.get("resultType", "complete") != "complete":
            return Outcome("The server asks for input that this client cannot give.", is_error=True)
        if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
            raise self.unreadable("with something that is no result of a tool")
        first, *others = [_text(block) for block in blocks] or [""]
        structured = result.get("structuredContent")
        return Outcome(
            self.scrubber.text(first),
            self.scrubber.tree(structured) if isinstance(structured, dict) else None,
            result.get("isError") is True,
            self.scrubber.text("\n".join(others)),
        )

    def told(self, text: str, most: int = _EXCERPT) -> str:
        """So much of a text from elsewhere as can be told."""
        return self.scrubber.text(visible_text(text)).strip()[:most]

    def unreadable(self, what: str) -> RemoteError:
        """The error of an answer that says nothing of what was done."""
        return RemoteError(f"{self.origin} answered {what}.", fate="unknown")

    def _said(self, body: bytes) -> str:
        """What a refusal says in words, if it does."""
        try:
            value = json.loads(body)
        except (ValueError, RecursionError):
            text = body[: 4 * _EXCERPT].decode("utf-8", "replace")
            return "" if text.lstrip().startswith("<") else self.told(text)
        said = member(value, "error", "message") or member(value, "error_description")
        return self.told(said) if isinstance(said, str) else ""


def is_listing(tools: Json) -> bool:
    """Whether this is a list of tools as MCP has it."""
    return isinstance(tools, list) and all(
        isinstance(member(tool, "name"), str) and isinstance(member(tool, "inputSchema"), dict)
        for tool in tools
    )


def member(value: Json, *names: str) -> Json:
    """What lies at these names, one within the other; None where there is nothing."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _text(block: Message) -> str:
    """A block of a result as text; what is none is told in its place."""
    if isinstance(text := block.get("text"), str):
        return text
    if isinstance(text := member(block, "resource", "text"), str):
        return text
    where = block.get("uri") or member(block, "resource", "uri") or block.get("mimeType") or ""
    return f"({block.get('type')}{where and ': '}{where}; mcpgate passes on texts only)"


def _refuse_constant(name: str) -> Json:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError("a number is too large")
    return number


def _is_too_deep(value: Json) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        nested = [node for node in level if isinstance(node, dict | list)]
        if not nested:
            return False
        level = [child for node in nested for child in (node.values() if isinstance(node, dict) else node)]
    return True
