"""The engine of SQLAlchemy over a database."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect

from mcpgate.store.faults import cannot_be_used
from mcpgate.store.sqlite_file import begin, set_up
from mcpgate.store.tables import METADATA


def open_engine(address: str) -> Engine:
    """The engine of a database; raises `StoreError` where its driver is not installed."""
    if "://" in address:
        return _server(address)
    engine = create_engine(f"sqlite:///{address}", hide_parameters=True)
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "begin", _begin)
    return engine


def make_tables(engine: Engine) -> None:
    """Looked for first: whoever only reads does not wait for one that writes."""
    with engine.connect() as connection:
        there = set(inspect(connection.execution_options(reading=True)).get_table_names())
    if not there.issuperset(METADATA.tables):
        with engine.begin() as connection:
            METADATA.create_all(connection)


def _server(address: str) -> Engine:
    fault = ""
    try:
        return create_engine(
            address, hide_parameters=True, pool_pre_ping=True, isolation_level="SERIALIZABLE"
        )
    except ImportError as error:
        fault = f"{error.name} is not installed"
    raise cannot_be_used(address, fault)


def _set_up(connection: Any, record: object) -> None:
    set_up(connection)


def _begin(connection: Connection) -> None:
    if connection.get_execution_options().get("reading", False):
        connection.exec_driver_sql("BEGIN")
    else:
        begin(connection.connection.dbapi_connection)
