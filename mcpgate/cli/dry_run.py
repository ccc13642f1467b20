"""A dry run: the trace of the decision, and the exact request with the secret masked; nothing is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from mcpgate.cli.console import plain, print_json, stdout, table
from mcpgate.errors import DeniedError, RefusedError
from mcpgate.gateway import Gateway
from mcpgate.plan import Plan
from mcpgate.secrets import MASK
from mcpgate.toolset import Entry
from mcpgate.values import Account, Decision, Finding, Json, Request

_DENIED = 5
_COLORS = {"allow": "green", "deny": "red", "ask": "red", "observe": "yellow"}


def dry_run(
    gateway: Gateway, entry: Entry, arguments: dict[str, Json], *, as_json: bool, sandbox: bool
) -> int:
    """Decide a call and show how; 0 when it would be sent, 5 when it is refused.

    What a rule has to look up is looked up in the sandbox only, from where nothing leaves this machine.
    """
    request: Request | None = None
    decision: Decision | None = None
    refused = ""
    try:
        plan = (
            asyncio.run(_looked_up(gateway, entry, arguments)) if sandbox else gateway.plan(entry, arguments)
        )
        decision, request = plan.decision, plan.request
    except DeniedError as error:
        decision, refused = error.decision, error.message
    except RefusedError as error:
        refused = error.message
    trace = decision.trace if decision else ()
    account = entry.grant.account
    if as_json:
        facts = {
            "tool": entry.tool.name,
            "verdict": decision.verdict if decision else "refused",
            "says": refused,
            "trace": [_facts(finding) for finding in trace],
            "request": request_facts(request, account) if request else None,
        }
        print_json(facts)
    else:
        _show_trace(trace)
        if refused:
            stdout().print(plain(refused), style="red", highlight=False, soft_wrap=True)
        if request is not None:
            stdout().print(
                "Allowed. Nothing was sent, and no key was opened; this is what would be sent:", style="green"
            )
            stdout().print(plain(request_text(request, account)), highlight=False, soft_wrap=True)
    return _DENIED if refused else 0


async def _looked_up(gateway: Gateway, entry: Entry, arguments: dict[str, Json]) -> Plan:
    call, _ = await gateway.look_up(entry, gateway.check(entry, arguments))
    return gateway.count(gateway.decide(entry, call))


def request_text(request: Request, account: Account) -> str:
    """A request as it would be on the wire, the secret masked."""
    facts = request_facts(request, account)
    headers = [f"{name}: {value}" for name, value in facts["headers"].items()]
    body = ["", facts["body"]] if facts["body"] else []
    return "\n".join([f"{facts['method']} {facts['url']}", *headers, *body])


def request_facts(request: Request, account: Account) -> dict[str, Json]:
    """Method, URL, headers and body of a request, the secret masked."""
    headers, url = dict(request.headers), request.url
    if request.key_header:
        headers[request.key_header] = "(a fresh one for each call)"
    auth = account.connector.auth
    if auth is not None and auth.type == "query":
        url += f"{'&' if '?' in url else '?'}{auth.name}={MASK}"
    elif auth is not None:
        scheme = "Basic" if auth.type == "basic" else auth.scheme
        headers[auth.name or "Authorization"] = f"{scheme} {MASK}".strip()
    body = request.body.decode() if request.body is not None else ""
    return {"method": request.method, "url": url, "headers": headers, "body": body}


def _show_trace(trace: Sequence[Finding]) -> None:
    from rich.text import Text

    if not trace:
        return
    shown = table("Layer", "Rule", "Verdict", "Why", "From")
    for finding in trace:
        verdict = Text(finding.verdict, _COLORS[finding.verdict])
        passes = f" (passes: {finding.passes})" if finding.passes else ""
        shown.add_row(
            finding.layer, finding.rule, verdict, plain(finding.says + passes), finding.source or "–"
        )
    stdout().print(shown)


def _facts(finding: Finding) -> dict[str, Json]:
    names = ("layer", "rule", "verdict", "says", "source", "field", "limit", "value", "passes", "reason")
    facts = {name: getattr(finding, name) for name in names}
    return {name: fact for name, fact in facts.items() if fact not in ("", None)}
