"""Rules over the links in texts and over their length. Pure."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from typing import Final

from mcpgate.attack.attempt import Assault, Breach, Target
from mcpgate.attack.families.texts import plain_texts, sent_texts
from mcpgate.attack.families.values import told
from mcpgate.attack.lenient import decoded, letters
from mcpgate.attack.wire import Wire

_HOST: Final = re.compile(
    r"(?:[a-z][a-z0-9+.-]*:)?[/\\]{2,}([^\s/\\?#]*)|\b(?:https?|ftp):[/\\]*([^\s/\\?#]+)"
    r"|\bmailto:([^\s?]*@[^\s/\\?#]+)|(?<![\w.@/=-])((?:\d{1,3}\.){3}\d{1,3})(?::\d+)?/"
)


def _linking(target: Target) -> Iterator[Breach]:
    blocked = [entry.replace("*", "www") for entry in target.config.get("block_domains", [])]
    allowed = [entry.replace("*", "www") for entry in target.config.get("allow_domains", [])]
    host = (blocked or ["evil.example"])[0]
    home = (allowed or ["example.com"])[0]
    first, _, last = host.rpartition(".")
    for keys in target.spots:
        yield Breach(keys, f"https://{host}/a")
        ways = (
            ("inside a sentence", f"See https://{host}/a, please."),
            ("upper case", f"HTTPS://{host.upper()}/"),
            ("no scheme", f"//{host}/a"),
            ("backslashes", f"https:\\\\{host}\\a"),
            ("one slash", f"https:/{host}/a"),
            ("no slash", f"https:{host}/a"),
            ("user before the host", f"https://{home}@{host}/"),
            ("user and password", f"https://{home}:x@{host}/"),
            ("port", f"https://{host}:443/"),
            ("dot at the end", f"https://{host}./a"),
            ("ideographic dot", f"https://{first}。{last}/a"),
            ("full-width letters", "https://" + "".join(chr(ord(c) + 0xFEE0) for c in host) + "/a"),
            ("percent-encoded host", f"https://%{ord(host[0]):02x}{host[1:]}/"),
            ("percent-encoded twice", f"https://%25{ord(host[0]):02x}{host[1:]}/"),
            ("soft hyphen in the host", f"https://{host[:2]}\u00ad{host[2:]}/"),
            ("tab in the scheme", f"ht\ttps://{host}/"),
            ("line end in the host", f"https://{host[:3]}\n{host[3:]}/"),
            ("link of Markdown", f"[{home}](https://{host}/)"),
            ("link of HTML", f'<a href="https://{host}/">{home}</a>'),
            ("entities of HTML", html.escape("https://") + f"&#{ord(host[0])};{host[1:]}/"),
            ("below the domain", f"https://www.{host}/"),
            ("second of two", f"https://{home}/ https://{host}/"),
            ("the allowed one as a path", f"https://{host}/https://{home}/"),
            ("the allowed one as a beginning", f"https://{home}.{host}/"),
            ("where a mail goes", f"mailto:jane@{host}"),
            ("numbers for a host, no scheme", "192.0.2.7/a"),
            ("zero-width space in the scheme", f"ht\u200btps://{host}/"),
        )
        yield from (Breach(keys, text, row=9, trick=trick) for trick, text in ways)


def _goes_to(text: str) -> Iterator[str]:
    """The hosts that a text would lead to."""
    unbroken = re.sub(r"[\t\r\n]", "", text)
    for copy in {text, decoded(text), decoded(html.unescape(text)), unbroken}:
        for match in _HOST.finditer(letters(copy).translate(str.maketrans("。．｡", "..."))):
            host = decoded((next(filter(None, match.groups()), "")).rpartition("@")[2]).partition(":")[0]
            host = re.split(r"[\"'<>)\],]", host)[0].strip(".")
            if host:
                yield host


def _links_wrongly(target: Target, wire: Wire) -> str:
    allow, block = target.config.get("allow_domains"), target.config.get("block_domains", [])
    for text in sent_texts(target, wire):
        for host in _goes_to(text):
            listed = allow is not None and _is_below(host, allow, below=False)
            if _is_below(host, block, below=True) or (not listed and (allow is not None or not block)):
                return f"{told(text)} leads to {host}"
    return ""


def _is_below(host: str, entries: Iterable[str], *, below: bool) -> bool:
    for entry in entries:
        bare = letters(entry).removeprefix("*.")
        inside = host.endswith(f".{bare}") and (below or entry.startswith("*."))
        if inside or (host == bare and not entry.startswith("*.")):
            return True
    return False


# --- lengths ---


def _long(target: Target) -> Iterator[Breach]:
    longer = target.config["max_length"] + 1
    for keys in target.spots:
        for text in ("x" * longer, "x" * (longer * 4), "ä" * longer, "a\n" * longer):
            yield Breach(
                keys, text, row=0 if text[:1] == "x" else 9, trick="" if text[0] == "x" else "other letters"
            )
        yield Breach(keys, "e\u0301" * longer, row=9, trick="combining marks")
        yield Breach(keys, "\U0001f600" * longer, row=9, trick="letters beyond 16 bits")
        yield Breach(keys, "x" * (longer - 1) + "\u200b" * longer, row=9, trick="invisible letters behind")
        yield Breach(keys, ["x" * longer], row=1, trick="text in a list")


def _too_long(target: Target, wire: Wire) -> str:
    longest = target.config["max_length"]
    over = (text for text in sent_texts(target, wire) if len(text) > longest)
    return next((f"a text of {len(text)} characters arrives, over {longest}" for text in over), "")


LINKS: Final[dict[str, Assault]] = {
    "block_urls": Assault("text", plain_texts, _linking, _links_wrongly),
    "content_length": Assault("text", plain_texts, _long, _too_long),
}
