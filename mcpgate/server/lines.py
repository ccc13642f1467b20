"""JSON line by line, strictly: what two parsers could read in two ways is refused.

This runs before `tools/list` is answered, so not even `typing` is imported.
"""

from __future__ import annotations

from json import JSONDecodeError, JSONDecoder, JSONEncoder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn, TypeAlias, TypeGuard

    Id: TypeAlias = int | str
    Object: TypeAlias = dict[str, Any]

LONGEST_LINE = 4 * 1024 * 1024

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
CONNECTION_CLOSED = -32000
UNSUPPORTED_VERSION = -32022

_INFINITY = float("inf")

encode = JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=dict).encode


class WireError(Exception):
    """A message that gets an error of the protocol for an answer."""

    def __init__(self, code: int, message: str, request_id: Id | None = None, data: object = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.request_id = request_id
        self.data = data


class _AmbiguousError(ValueError):
    """JSON by its grammar, but two parsers may read different things in it."""


def _unique(pairs: list[tuple[str, Any]]) -> Object:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise _AmbiguousError(f"the key '{twice[:60]}' stands twice in one object")
    return found


def _finite(digits: str) -> float:
    number = float(digits)
    if abs(number) == _INFINITY:
        raise _AmbiguousError("a number is too large")
    return number


def _no_constant(name: str) -> NoReturn:
    raise JSONDecodeError("no JSON value", name, 0)


def _short_integer(digits: str) -> int | None:
    return int(digits) if len(digits) < 1000 else None


_decode = JSONDecoder(object_pairs_hook=_unique, parse_float=_finite, parse_constant=_no_constant).decode
_decode_pairs = JSONDecoder(object_pairs_hook=list, parse_int=_short_integer).decode


def read(line: bytes) -> Any:
    """The JSON of one line, or a `WireError`.

    Text that is no JSON is a parse error. A key that stands twice, or a number that has no finite value, is
    grammatical JSON, and may stand outside of any method's params: an invalid request.
    """
    try:
        text = line.decode()
        message = _decode(text)
        if "\\ud" in text or "\\uD" in text:
            encode(message).encode()  # fails on half of a surrogate pair
    except UnicodeEncodeError:
        raise WireError(PARSE_ERROR, "Refused: half of a surrogate pair", _known_id(line)) from None
    except (JSONDecodeError, UnicodeDecodeError, RecursionError):
        raise WireError(PARSE_ERROR, "This is no line of JSON in UTF-8", _known_id(line)) from None
    except _AmbiguousError as problem:
        raise WireError(INVALID_REQUEST, f"Refused: {problem}", _known_id(line)) from None
    except ValueError:
        raise WireError(INVALID_REQUEST, "Refused: a number has too many digits", _known_id(line)) from None
    return message


def is_id(value: object) -> TypeGuard[Id]:
    """Whether a request may have this id; `true` and `1.0` are equal to 1 and may not."""
    return type(value) is int or type(value) is str


def _known_id(line: bytes) -> Id | None:
    """The id of a refused message, if it has exactly one: its sender need not wait in vain."""
    try:
        pairs = _decode_pairs(line.decode())
        ids = [pair[1] for pair in pairs if isinstance(pair, tuple) and pair[0] == "id"]
        encode(ids).encode()
    except (ValueError, TypeError, RecursionError):
        return None
    return ids[0] if len(ids) == 1 and is_id(ids[0]) else None


class Lines:
    """Cuts what is read into lines; one that is too long comes out as None and takes no memory."""

    def __init__(self) -> None:
        self._start = bytearray()
        self._length = 0

    def feed(self, data: bytes) -> list[bytes | None]:
        """The lines that end in `data`; the start of the next one is kept."""
        first, *others = data.split(b"\n")
        self._add(first)
        found = []
        for part in others:
            found.append(bytes(self._start) if self._length <= LONGEST_LINE else None)
            self._start.clear()
            self._length = 0
            self._add(part)
        return found

    def _add(self, part: bytes) -> None:
        self._length += len(part)
        if self._length <= LONGEST_LINE:
            self._start += part
        else:
            self._start.clear()


def line_of(message: Object) -> bytes:
    """A message as it goes out; what cannot be written as UTF-8 becomes a question mark."""
    return encode(message).encode("utf-8", "replace") + b"\n"


def result_line(request_id: Id, members: str) -> bytes:
    """An answer whose result has these members, which are JSON already."""
    line = f'{{"jsonrpc":"2.0","id":{encode(request_id)},"result":{{{members}}}}}\n'
    return line.encode("utf-8", "replace")


def error_line(problem: WireError) -> bytes:
    """The answer to a message that was refused."""
    error: Object = {"code": problem.code, "message": problem.message}
    if problem.data is not None:
        error["data"] = problem.data
    return line_of({"jsonrpc": "2.0", "id": problem.request_id, "error": error})
