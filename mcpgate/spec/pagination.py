"""How a tool's list goes on: its own `paginate` over its connector's pagination, key by key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mcpgate.places import parse_place
from mcpgate.spec.params import read_params, unknown
from mcpgate.spec.yaml_text import Document, Path
from mcpgate.values import Pagination


def read_pagination(
    document: Document,
    path: Path,
    own: Any,
    shared: Mapping[str, Any] | None,
    params: dict[str, Any],
) -> Pagination | None:
    """The pagination of the tool at `path`, whose `paginate` is `own`; its parameters join the `params`."""
    if own is None:
        return None
    if own is True and shared is None:
        document.add((*path, "paginate"), "the connector has no pagination to use")
        return None
    differs: dict[str, Any] = {} if own is True else own
    merged = {**(shared or {}), **differs}

    def where(key: str) -> Path:
        return (*path, "paginate", key) if key in differs else ("pagination", key)

    if "next" not in merged:
        document.add((*path, "paginate"), "pagination has no next, which says how to go on", at_key=True)
        return None
    added = read_params(document, where("params"), merged.get("params", {}))
    for name in params.keys() & added.keys():
        document.add(
            (*path, "params", name), f"'{name}' is a parameter of the pagination already", at_key=True
        )
    params.update(added)
    places = {key: parse_place(merged[key]) for key in ("items", "more", "total") if key in merged}
    return Pagination(params=added, next=_next(document, where("next"), merged["next"], params), **places)


def _next(document: Document, path: Path, spec: Any, params: Mapping[str, Any]) -> Any:
    if isinstance(spec, str):
        return parse_place(spec)
    for name in spec:
        if name not in params:
            document.add((*path, name), unknown(name, params, "next"), at_key=True)
    return {name: step if step.startswith("+") else parse_place(step) for name, step in spec.items()}
