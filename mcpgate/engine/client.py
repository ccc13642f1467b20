"""Sends requests: opens the credential, adds it last, retries, and bounds everything that comes back.

One per process.

The secret ends here: a reply is scrubbed before anyone reads it, and an exception leaves without the frames,
and so the variables, of the steps that it went through.
"""

from __future__ import annotations

import asyncio
import dataclasses
import math
import random
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from mcpgate.engine.auth import authorize, with_header
from mcpgate.engine.body import CUT_OFF
from mcpgate.engine.network import Network
from mcpgate.engine.response import is_refusal, read
from mcpgate.engine.transport import Attempt, BrokenError, Message, Transport, UnsentError
from mcpgate.errors import CredentialError, MCPGateError
from mcpgate.secrets import Scrubber, Secret
from mcpgate.values import Account, Fate, Reply, Request

TRIES: Final = 3
_RETRIED: Final = frozenset({429, 500, 502, 503, 504})
# bytes of a body that is scrubbed in a thread: it may take a second
_LARGE: Final = 256 * 1024
# what ends more than one call; all else that is no Exception is the crash of a library not written in Python
_STOPS: Final = (asyncio.CancelledError, GeneratorExit, KeyboardInterrupt, SystemExit)


def _never(account: Account, request: Request) -> Secret | None:
    raise BlockingIOError


class Client:
    """The HTTP client of a process; `backoff` is the seconds before the first retry, doubled for the next.

    Opening the credential may take its time, for a keyring or a person: `at_once` opens it where nobody has
    to be asked, and else raises `BlockingIOError`.
    """

    def __init__(
        self,
        open_credential: Callable[[Account, Request], Secret | None],
        transport: Transport | None = None,
        backoff: float = 0.5,
        at_once: Callable[[Account, Request], Secret | None] = _never,
    ) -> None:
        self._open_credential = open_credential
        self._at_once = at_once
        self._transport = transport or Network()
        self._backoff = backoff
        self._scrubber = Scrubber()

    async def send(self, request: Request, account: Account) -> Reply:
        """Send a request until it is answered, may not be repeated, or its time is up.

        `request.timeout` is seconds for the whole call, retries included. Raises `CredentialError` before
        anything is sent; whatever happens later is a `Reply`.
        """
        fault: BaseException
        try:
            return await self._send(request, account)
        except (CredentialError, *_STOPS) as error:
            fault = _bare(error)
        except BaseException as error:  # noqa: BLE001  what it says may hold the secret
            return _failed(request, error, Attempt(sent=True))
        raise fault

    async def _send(self, request: Request, account: Account) -> Reply:
        secret = await self._open(request, account)
        deadline = asyncio.get_running_loop().time() + request.timeout
        unknown = False
        for attempt in range(1, TRIES + 1):
            attempted = Attempt(sent=False)
            reply, wait = await self._try(request, account, secret, deadline, attempted)
            unknown = unknown or reply.fate == "unknown"
            if wait is None or attempt == TRIES or (attempted.sent and not _may_repeat(request)):
                break
            pause = max(wait, self._pause(attempt))
            if pause >= deadline - asyncio.get_running_loop().time():
                break
            await asyncio.sleep(pause)
        problem = self._scrubber.text(reply.problem)
        problem += f"; it asks to wait {math.ceil(wait)} s" if wait else ""
        fate = "unknown" if unknown and reply.fate == "failed" else reply.fate
        return dataclasses.replace(reply, problem=problem, fate=fate, attempts=attempt)

    async def close(self) -> None:
        """Close every connection."""
        await self._transport.close()

    def warm(self, origins: Iterable[str]) -> None:
        """Make what the first call to these origins would wait for; from any thread."""
        for origin in origins:
            self._transport.warm(origin)

    async def _open(self, request: Request, account: Account) -> Secret | None:
        """The credential, of which nothing was sent yet: whatever breaks here is a `CredentialError`."""
        try:
            try:
                secret = self._at_once(account, request)
            except BlockingIOError:
                secret = await asyncio.to_thread(self._open_credential, account, request)
            if secret is not None:
                self._scrubber.learn(secret.reveal())
            return secret
        except (CredentialError, *_STOPS):
            raise
        except MCPGateError as error:
            unsent = CredentialError(error.message, error.hint)
            unsent.exit_code = error.exit_code
            raise unsent from None
        except BaseException as error:  # noqa: BLE001  what it says may hold the secret
            raise CredentialError(f"The credential could not be opened ({type(error).__name__}).") from None

    async def _try(
        self, request: Request, account: Account, secret: Secret | None, deadline: float, attempted: Attempt
    ) -> tuple[Reply, float | None]:
        """One attempt: its reply, and the seconds to wait before another one, None for never."""
        try:
            async with asyncio.timeout_at(deadline):
                return await self._exchange(request, account, secret, attempted)
        except TimeoutError:
            what = "no complete reply" if attempted.sent else f"no connection to {account.origin}"
            return _broken(request, f"{what} within {request.timeout:g} s", attempted), None
        except UnsentError as error:
            attempted.sent = False
            what = f"no connection to {account.origin} ({error})"
            return _broken(request, what, attempted), 0.0 if error.again else None
        except BrokenError as error:
            return _broken(request, f"the connection to {account.origin} broke ({error})", attempted), 0.0
        except _STOPS:
            raise
        except BaseException as error:  # noqa: BLE001  what it says may hold the secret
            return _failed(request, error, attempted), None

    async def _exchange(
        self, request: Request, account: Account, secret: Secret | None, attempted: Attempt
    ) -> tuple[Reply, float | None]:
        url, headers = authorize(request, account, secret)
        if request.key:
            headers = with_header(headers, request.key_header, request.key)
        headers = with_header(headers, "Accept-Encoding", "gzip")
        message = Message(request.method, account.origin, _target(url, account.origin), headers, request.body)
        reply = await self._transport.exchange(message, attempted)
        status, body, fault = reply.status, reply.body, reply.fault
        kept = {name: text for name, text in reply.headers.items() if name != "set-cookie"}
        received = self._scrubber.tree(kept)
        if len(body) < _LARGE:
            body = self._scrubber.body(body)
        else:
            body = await asyncio.to_thread(self._scrubber.body, body)
        answer = read(account.connector, request.tool, request, status, received, body)
        if fault and 200 <= status < 300:
            problem = f"the API answered {status}, but {fault}"
            answer = dataclasses.replace(answer, problem=problem, fate="unknown")
        return answer, _wait(account, status, received, broke=fault == CUT_OFF and status < 300)

    def _pause(self, attempt: int) -> float:
        longest: float = min(self._backoff * 2 ** (attempt - 1), 5.0)
        return longest * random.uniform(0.5, 1.0)  # noqa: S311  jitter


def _bare(error: BaseException) -> BaseException:
    """An exception without where it went through and what it came from."""
    error.__traceback__ = error.__context__ = error.__cause__ = None
    return error


def _target(url: str, origin: str) -> str:
    """What is asked for at the origin; raises `UnsentError` for a URL that leads elsewhere."""
    target = url.removeprefix(origin)
    if target == url or target[:1] not in ("", "/", "?"):
        raise UnsentError("the address is not of this origin", again=False)
    return target if target.startswith("/") else f"/{target}"


def _may_repeat(request: Request) -> bool:
    """Whether the API may see a request twice: a read, or a write whose key makes the second one harmless."""
    return request.repeatable == "always" and (request.tool.category == "read" or bool(request.key))


def _broken(request: Request, problem: str, attempted: Attempt) -> Reply:
    """No whole reply came; a status that did come may say that nothing was done."""
    refused = attempted.status is not None and is_refusal(request.tool, attempted.status)
    fate: Fate = "unknown" if attempted.sent and not refused else "failed"
    return Reply(request, fate, attempted.status, {}, None, problem)


def _failed(request: Request, error: BaseException, attempted: Attempt) -> Reply:
    return _broken(request, f"mcpgate itself failed while sending ({type(error).__name__})", attempted)


def _wait(account: Account, status: int, headers: dict[str, str], *, broke: bool) -> float | None:
    """Seconds to wait before trying again, None where the reply is not one to try again."""
    said = headers.get(account.connector.retry.lower(), "").lower() if account.connector.retry else ""
    again = broke or status in _RETRIED or (said == "true" and status >= 400)
    return retry_after(headers.get("retry-after", "")) if again and said != "false" else None


def retry_after(text: str) -> float:
    """The seconds of a Retry-After header, a number or a date (RFC 9110, section 10.2.3)."""
    try:
        return max(0.0, float(text)) if float(text) < float("inf") else 0.0
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return 0.0
