"""One connector file → a checked, frozen `Connector`, or every fault of the file at once."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from mcpgate.json_schema import compile_pattern
from mcpgate.places import Place, parse_place
from mcpgate.spec.auth import check_probe, read_auth
from mcpgate.spec.check import check_shape
from mcpgate.spec.headers import ENGINE_HEADERS, read_headers
from mcpgate.spec.params import cannot_be_text, read_params
from mcpgate.spec.templates import parse_segments, parse_template
from mcpgate.spec.tool import Context, read_tool
from mcpgate.spec.yaml_text import Document, did_you_mean, load
from mcpgate.values import Connector, Errors, Placeholder, Source, Template, Tool

LANGUAGE: Final = 1
_HOST: Final = re.compile(r"((?:[a-z0-9_-]+\.)*[a-z0-9_-]+|\[[0-9a-f:.]+\])(?::[1-9][0-9]*)?\Z")
_PORTS: Final = {"https": 443, "http": 80}


_OWN: Final = {
    "mcpgate": "what mcpgate's own tools begin with",
    "app": "no connector's name: MCPGATE_APP_KEY is the key of an app",
}


def read_connector(name: str, data: bytes, source: Source) -> Connector:
    """Read a connector from its text; `name` is what messages call the file. Raises `SpecError`."""
    document = load(name, data)
    value: dict[str, Any] = document.value
    _check_language(document, value.get("language"))
    check_shape(document, "connector")
    given = _Given(document, value)
    if given("connector", "") in _OWN:
        what = _OWN[value["connector"]]
        document.add(("connector",), f"'{value['connector']}' is {what}; give it another name")
    settings = given.settings()
    base_url = _base_url(document, given("base_url", ""), settings)
    auth = read_auth(document, given("auth"), settings) if given("auth") else None
    taken = {given("idempotency", "").lower()} - {""}
    if auth is not None and auth.type == "header":
        taken.add(auth.name.lower())
    _check_own_headers(document, given)
    headers = read_headers(document, ("headers",), given("headers", {}), settings, taken=taken)
    context = Context(
        document,
        connector=given("connector", ""),
        settings=settings,
        taken=taken,
        credential=auth.name if auth is not None and auth.type == "query" else "",
        encoding=given("encoding", "json"),
        pagination=given("pagination"),
    )
    tools = given.tools(context)
    if auth is not None and auth.probe:
        check_probe(document, auth.probe, tools, value.get("tools", {}))
    errors = _errors(given("errors", {}))
    document.finish()
    return Connector(
        name=value["connector"],
        base_url=base_url,
        tools=tools,
        source=source,
        title=value.get("title", value["connector"]),
        description=value.get("description", ""),
        docs=value.get("docs", ""),
        instructions=value.get("instructions", "").strip(),
        settings=settings,
        headers=headers,
        encoding=value.get("encoding", "json"),
        lists=value.get("lists", "indexed" if value.get("encoding") == "form" else "repeat"),
        idempotency=value.get("idempotency", ""),
        retry=value.get("retry", ""),
        request_id=value.get("request_id", ""),
        timeout=float(value.get("timeout", 30)),
        private=tuple(value.get("private", ())),
        auth=auth,
        errors=errors,
    )


def is_loopback(host: str) -> bool:
    """Whether a host name is this machine's own."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


# without one of these, what is left of a tool means something else
_DECIDING: Final = frozenset({"request", "graphql", "body", "effects", "safe", "paginate", "reply"})


class _Given:
    """The parts of a file that are of the right shape; a faulty one does not keep the others unread."""

    def __init__(self, document: Document, value: Mapping[str, Any]) -> None:
        self._document = document
        self._value = value

    def __call__(self, key: str, otherwise: Any = None) -> Any:
        return self._value[key] if key in self._value and self._document.sound(key) else otherwise

    def settings(self) -> dict[str, Any]:
        """Every setting as a full schema, an empty one where it could not be read."""
        found = self._value.get("settings")
        if not isinstance(found, dict) or self._document.sound("settings"):
            return _settings(self._document, found or {})
        return {name: {} for name in found}

    def tools(self, context: Context) -> dict[str, Tool]:
        """The tools, but for those that depend on a part that could not be read."""
        tools = self._value.get("tools")
        specs = (
            {name: self._readable(name, spec) for name, spec in tools.items()}
            if isinstance(tools, dict)
            else {}
        )
        return {name: read_tool(context, name, spec) for name, spec in specs.items() if spec is not None}

    def _readable(self, name: str, spec: Any) -> Mapping[str, Any] | None:
        """A tool without its faulty parts, or None where the rest cannot be judged without them."""
        sound = self._document.sound
        if not isinstance(spec, dict) or ("paginate" in spec and not sound("pagination")):
            return None
        if sound("tools", name):
            return spec
        parts = {key: part for key, part in spec.items() if sound("tools", name, key)}
        params = spec.get("params")
        if isinstance(params, dict):
            # one that is out of shape is a parameter all the same
            shaped = (param for param in params if isinstance(param, str))
            parts["params"] = {
                param: params[param] if sound("tools", name, "params", param) else "?" for param in shaped
            }
        if not {"description", "category"} <= parts.keys() or not _DECIDING.isdisjoint(
            spec.keys() - parts.keys()
        ):
            return None
        return parts


def _check_language(document: Document, language: Any) -> None:
    """A file for a newer mcpgate is told so, and nothing that follows from it."""
    if isinstance(language, int) and language > LANGUAGE:
        message = (
            f"this file is newer: it is written in language {language}, and this mcpgate reads {LANGUAGE}"
        )
        document.add(("language",), message)
        document.finish()


def _settings(document: Document, specs: Mapping[str, Any]) -> dict[str, Any]:
    settings = read_params(document, ("settings",), specs)
    for name, schema in settings.items():
        if "pattern" not in schema and "enum" not in schema:
            document.add(("settings", name), f"the setting '{name}' needs a pattern (or an enum)")
        elif cannot_be_text(schema) or schema.get("type", "string") != "string":
            document.add(("settings", name, "type"), f"the setting '{name}' is a text: type string")
        elif document.sound("settings", name) and not _matches(schema):
            document.add(("settings", name, "default"), "the default does not match the pattern in full")
    return settings


def _matches(schema: Mapping[str, Any]) -> bool:
    pattern = schema.get("pattern", "")
    return (
        not pattern or "default" not in schema or bool(compile_pattern(pattern).fullmatch(schema["default"]))
    )


def _base_url(document: Document, text: str, settings: Mapping[str, Any]) -> Template:
    """The template of `base_url`; what is wrong with it is noted."""
    try:
        template = parse_template(text)
        fault = _base_url_fault(template, settings) if text else ""
    except ValueError as error:
        template, fault = Template((text,)), f"this is not a base_url ({error})"
    if fault:
        document.add(("base_url",), f"{fault}: '{text}'")
    return template


def _base_url_fault(template: Template, settings: Mapping[str, Any]) -> str:
    for part in template.parts:
        if isinstance(part, Placeholder) and part.name not in settings:
            return f"{{{part.name}}} is not a setting{did_you_mean(part.name, list(settings))}"
        if isinstance(part, Placeholder) and part.slashes:
            return "a setting stays inside its segment; write {name}"
    # placeholders become a letter, so that the rest can be judged as a URL
    plain = "".join(part if isinstance(part, str) else "x" for part in template.parts)
    url = urlsplit(plain)
    scheme, _, rest = plain.partition("://")
    if not plain.isascii():
        return "a host is written in ASCII (xn--…)"
    if "@" in url.netloc:
        return "no user name or password in a base_url; auth says how the secret travels"
    if url.query or url.fragment or plain.endswith(("?", "#")):
        return "a base_url has no query and no fragment"
    if scheme not in _PORTS or (scheme == "http" and not is_loopback(url.hostname or "")):
        return "a base_url is https (plain http only on loopback)"
    if rest.partition("/")[0] != url.netloc or not _HOST.match(url.netloc):
        return "a host has lower-case letters, digits, dots and hyphens"
    if url.port == _PORTS[scheme]:
        return f"leave out the port {url.port}, which goes without saying"
    parse_segments(url.path)
    return ""


def _check_own_headers(document: Document, given: _Given) -> None:
    """The names of headers that the engine is to send or to read by itself."""
    if given("idempotency", "").lower() in ENGINE_HEADERS:
        document.add(("idempotency",), f"'{given('idempotency')}' is the engine's own header")
    for key in ("retry", "request_id"):
        if given(key, "").lower() == "set-cookie":
            document.add((key,), "Set-Cookie is never read")


def _errors(spec: Mapping[str, Any]) -> Errors:
    def places(key: str) -> tuple[Place, ...]:
        found = spec.get(key, [])
        return tuple(parse_place(text) for text in ([found] if isinstance(found, str) else found))

    when = parse_place(spec["when"]) if "when" in spec else None
    return Errors(when, places("message"), places("code"), spec.get("hints", {}))
