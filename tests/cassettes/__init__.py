"""Recording and replaying what was said between mcpgate and an API."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import vcr
from vcr.record_mode import RecordMode

from tests.scenarios import LOCALSTRIPE, REAL, STATEFUL_MOCK

FOLDER = Path(__file__).parent
# What a cassette's addresses begin with: what it was recorded from, without the port of that day.
ORIGINS = {
    STATEFUL_MOCK: "http://stateful-mock",
    LOCALSTRIPE: "http://localstripe",
    REAL: "https://api.stripe.com",
}
KEPT_OF_REQUESTS = {"content-type", "stripe-version"}
KEPT_OF_REPLIES = {
    "content-type",
    "idempotent-replayed",
    "original-request",
    "request-id",
    "retry-after",
    "stripe-should-retry",
}
KEY = re.compile(rb"\b([spr]k_(?:test|live)_)[\w*]+")
PRIVATE_ADDRESS = re.compile(
    rb'("(?:client_secret|hosted_invoice_url|invoice_pdf|receipt_url)"\s*:\s*)"[^"]*"'
)


def file_of(source: str, name: str) -> Path:
    """Where a scenario's cassette for this source lies."""
    return FOLDER / source / f"{name}.yaml"


def cassette(path: Path, source: str, record: bool = False) -> Any:
    """A context in which HTTP is recorded into this file, or comes from it and from nowhere else."""
    recorder = vcr.VCR(
        record_mode=RecordMode.ALL if record else RecordMode.NONE,
        # `body` and `query` would compare without empty values, and those unset things.
        match_on=("method", "uri", "raw_body"),
        before_record_request=lambda request: _request_kept(request, source),
        before_record_response=_reply_kept,
        decode_compressed_response=True,
    )
    return recorder.use_cassette(str(path))


def _request_kept(request: Any, source: str) -> Any:
    request.uri = ORIGINS[source] + re.sub(r"\Ahttps?://[^/]*", "", request.uri)
    request.headers = _only(request.headers, KEPT_OF_REQUESTS)
    return request


def _reply_kept(reply: Any) -> Any:
    reply["headers"] = _only(reply["headers"], KEPT_OF_REPLIES)
    body = KEY.sub(rb"\1***", reply["body"]["string"])
    reply["body"]["string"] = PRIVATE_ADDRESS.sub(rb'\1"***"', body)
    return reply


def _only(headers: Any, kept: set[str]) -> dict[str, Any]:
    return {name: value for name, value in headers.items() if name.lower() in kept}
