"""One connector file → a checked, frozen `Connector`, or every fault of the file at once."""

from __future__ import annotations

import ipaddress
from typing import Any
from urllib.parse import urlsplit

from mcpgate.places import parse_place
from mcpgate.spec.check import check_shape
from mcpgate.spec.params import check_pattern, read_params
from mcpgate.spec.templates import parse_segments, parse_template, whole_placeholder
from mcpgate.spec.tool import ENGINE_HEADERS, Context, read_headers, read_tool
from mcpgate.spec.yaml_text import Document, did_you_mean, load
from mcpgate.values import Auth, Connector, Errors, Kind, Placeholder, Source, Template

def read_connector(name: str, data: bytes, source: Source) -> Connector:
    """Read a connector from its text; `name` is what messages call the file. Raises `SpecError`."""
    document = load(name, data)
    shaped = check_shape(document, "connector")
    if not shaped:
        document.finish()
    value = document.value
    settings = _settings(document, value)
    base_url = _base_url(document, value["base_url"], settings)
    auth = _auth(document, value, settings)
    _check_header_names(document, value, auth)
    headers = read_headers(document, ("headers",), value.get("headers", {}), set(settings))
    context = Context(document, value["connector"], frozenset(settings), value.get("pagination"))
    tools = {tool: read_tool(context, tool, spec) for tool, spec in value["tools"].items()}
    _check_probe(document, value)
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
        errors=_errors(value.get("errors", {})),
    )


def is_loopback(host: str) -> bool:
    """Whether a host name is this machine's own."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _settings(document: Document, value: dict[str, Any]) -> dict[str, Any]:
    settings = read_params(document, ("settings",), value.get("settings", {}))
    for name, schema in settings.items():
        if "pattern" not in schema and "enum" not in schema:
            document.add(("settings", name), f"the setting '{name}' needs a pattern (or an enum)")
    return settings


def _base_url(document: Document, text: str, settings: dict[str, Any]) -> Template:
    """The template of `base_url`; what is wrong with it is noted."""

    def wrong(message: str) -> Template:
        document.add(("base_url",), f"{message}: '{text}'")
        return Template((text,))

    try:
        template = parse_template(text)
        # placeholders become a letter, so that the rest can be judged as a URL
        plain = "".join(part if isinstance(part, str) else "x" for part in template.parts)
        url = urlsplit(plain)
        host, port = url.hostname or "", url.port
        parse_segments(url.path)
    except ValueError as error:
        return wrong(f"this is not a base_url ({error})")
    for name in template.names:
        if name not in settings:
            return wrong(f"{{{name}}} is not a setting{did_you_mean(name, list(settings))}")
    if any(isinstance(part, Placeholder) and part.slashes for part in template.parts):
        return wrong("a setting stays inside its segment; write {name}")
    if not plain.isascii():
        return wrong("a host is written in ASCII (xn--…)")
    if "@" in url.netloc:
        return wrong("no user name or password in a base_url; auth says how the secret travels")
    if url.query or url.fragment or plain.endswith(("?", "#")):
        return wrong("a base_url has no query and no fragment")
    if not host or "\\" in plain or any(char.isspace() for char in plain):
        return wrong("this is not a base_url")
    if url.scheme != "https" and not (url.scheme == "http" and is_loopback(host)):
        return wrong("a base_url is https (plain http only on loopback)")
    if text.split("://")[0] != url.scheme or (port is None and url.netloc.endswith(":")):
        return wrong("this is not a base_url")
    return template


def _auth(document: Document, value: dict[str, Any], settings: dict[str, Any]) -> Auth | None:
    spec = value.get("auth")
    if spec is None:
        return None
    secret = spec.get("secret", {})
    if spec["type"] in ("header", "query") and "name" not in spec:
        document.add(("auth",), f"auth of type {spec['type']} says the name it travels under")
    if spec["type"] in ("bearer", "basic") and "name" in spec:
        document.add(("auth", "name"), "a name is for auth of type header or query", at_key=True)
    if "scheme" in spec and spec["type"] not in ("bearer", "header"):
        document.add(("auth", "scheme"), "a scheme is for auth of type bearer or header", at_key=True)
    if "username" in spec and spec["type"] != "basic":
        document.add(("auth", "username"), "a username is for auth of type basic", at_key=True)
    username = None
    if "username" in spec:
        username = Template((spec["username"],))
        name = whole_placeholder(spec["username"])
        if name is not None and name not in settings:
            document.add(("auth", "username"), f"{{{name}}} is not a setting{did_you_mean(name, list(settings))}")
        elif name is not None:
            username = Template((Placeholder(name),))
    kinds = secret.get("kinds", [{"match": secret["pattern"]}] if "pattern" in secret else [])
    if "pattern" in secret and "kinds" in secret:
        document.add(("auth", "secret", "pattern"), "give kinds or one pattern, not both", at_key=True)
    for index, kind in enumerate(kinds):
        where = ("auth", "secret", "kinds", index, "match") if "kinds" in secret else ("auth", "secret", "pattern")
        check_pattern(document, where, kind["match"])
        if "refuse" in kind and ("mode" in kind or "caution" in kind):
            document.add(where[:-1], "a kind that is refused has no mode and no caution")
    return Auth(
        type=spec["type"],
        name=spec.get("name", ""),
        scheme=spec.get("scheme", "Bearer" if spec["type"] == "bearer" else ""),
        username=username,
        label=secret.get("label", "Secret"),
        help=secret.get("help", ""),
        kinds=tuple(Kind(**kind) for kind in kinds),
        probe=spec.get("probe", ""),
    )


def _check_header_names(document: Document, value: dict[str, Any], auth: Auth | None) -> None:
    own = {value.get("idempotency", "").lower()} - {""}
    if auth is not None and auth.type == "header":
        own.add(auth.name.lower())
        if auth.name.lower() in ENGINE_HEADERS - {"authorization"}:
            document.add(("auth", "name"), f"'{auth.name}' is the engine's own header")
    if value.get("idempotency", "").lower() in ENGINE_HEADERS:
        document.add(("idempotency",), f"'{value['idempotency']}' is the engine's own header")
    if value.get("retry", "").lower() == "set-cookie" or value.get("request_id", "").lower() == "set-cookie":
        document.add((), "Set-Cookie is never read")
    for name in value.get("headers", {}):
        if name.lower() in own:
            document.add(("headers", name), f"'{name}' is set by the engine", at_key=True)


def _check_probe(document: Document, value: dict[str, Any]) -> None:
    probe = value.get("auth", {}).get("probe")
    if probe is None:
        return
    tool = value["tools"].get(probe)
    if tool is None:
        near = did_you_mean(probe, list(value["tools"]))
        document.add(("auth", "probe"), f"there is no tool '{probe}'{near}")
    elif tool["category"] != "read" or tool.get("safe"):
        document.add(("auth", "probe"), f"a probe is a read; '{probe}' is not")
    elif tool.get("required") or "{" in tool.get("request", "") or tool.get("exactly_one"):
        document.add(("auth", "probe"), f"a probe has no required arguments; '{probe}' has")


def _errors(spec: dict[str, Any]) -> Errors:
    def places(key: str) -> tuple[Any, ...]:
        found = spec.get(key, [])
        return tuple(parse_place(text) for text in ([found] if isinstance(found, str) else found))

    when = parse_place(spec["when"]) if "when" in spec else None
    return Errors(when, places("message"), places("code"), spec.get("hints", {}))

