"""How alembic runs here: on the connection that `service/store/schema.py` hands over, one transaction a migration.

There is no alembic.ini: `schema.configuration()` is all of it. A new migration is written by hand after its neighbours.
"""

from alembic import context
from sqlalchemy import Connection, event

from service.store.tables import metadata

connection: Connection = context.config.attributes["connection"]


@event.listens_for(connection, "begin")
def _limit_waiting(connection: Connection) -> None:
    # A migration that cannot have its lock fails and is tried again, before everyone has queued up behind it. For the
    # transaction, not the session: behind PgBouncer the session is shared.
    connection.exec_driver_sql("set local lock_timeout = '5s'")


context.configure(connection=connection, target_metadata=metadata, transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
