"""The store in memory, in what the others do not share: it is bounded."""

from __future__ import annotations

import pytest

from mcpgate.store import memory
from mcpgate.store.memory import MemoryStore
from tests.store.test_contract import BASE_ROW, entry


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_KEPT", 3)
    store = MemoryStore()
    for number in range(5):
        with store.transaction() as transaction:
            transaction.reserve(entry(str(number)))
            transaction.write(BASE_ROW)
    assert list(store.entries) == ["2", "3", "4"]
    assert len(store.rows) == 3
