"""Frames as they wait in a spool."""

from datetime import timedelta

from parsers.line import Origin
from parsers.octet_counting import Damage
from service.ingest.segment import Record
from service.store.frames import FrameKey
from vocabulary import NOON, frame_of, message


def record(number: int, *, body: bytes | None = None) -> Record:
    """The `number`th frame, which came so many seconds after noon."""
    return Record(
        origin=Origin("raxx-api-prod", "production"),
        key=FrameKey(1, 7, number.to_bytes(16)),
        head_key=FrameKey(1, 7, (1000 + number).to_bytes(16)) if number % 2 else None,
        received_at=NOON + timedelta(seconds=number, microseconds=number),
        body=body if body is not None else frame_of(message("app", "web.1", f"line {number}")),
        damage=(Damage(3, b"\x00\xff", "no message begins at byte 3"),) if number % 3 == 0 else (),
    )
