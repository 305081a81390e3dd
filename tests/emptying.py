"""What empties a migrated database: no rows in any table, and all numbers beginning at 1. A statement, for one round trip."""

from service.store.tables import metadata

_TABLES = [f"delete from {table.name};" for table in reversed(metadata.sorted_tables)]
_NUMBERS = [
    f"perform setval(pg_get_serial_sequence('{table.name}', '{column.name}'), 1, false);"
    for table in metadata.sorted_tables
    for column in table.columns
    if column.identity is not None
]
EMPTY = f"do $$ begin {' '.join(_TABLES + _NUMBERS)} end $$"
