"""What is stored and not yet folded: a row for each chunk, removed by the transaction that folds it."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Pending:
    """One chunk's worth of events; `newest_at` is the newest time at which one of its lines counts, `traffic` what they add
    to which minutes, packed. `unfinished`: the next chunk may go on with something in it."""

    chunk_id: UUID
    received_at: datetime
    newest_at: datetime
    events: int
    traffic: bytes
    unfinished: bool = False
