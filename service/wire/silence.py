"""A silence's JSON: the same in the API, and as a webhook tells of its end."""

from datetime import datetime
from typing import Literal

from typing_extensions import TypedDict

from service.store.silences import Silence
from service.wire.instant import instant


class SilenceJson(TypedDict):
    """From `starts_at` to `ends_at` the incidents that `match` holds for are not told; `author` is whose token made it."""

    id: int
    match: str
    starts_at: str
    ends_at: str
    comment: str
    author: str
    created_at: str
    status: Literal["upcoming", "active", "ended"]


def silence_json(silence: Silence, *, now: datetime) -> SilenceJson:
    """The silence as it is at that time."""
    return {
        "id": silence.id,
        "match": silence.match,
        "starts_at": instant(silence.starts_at),
        "ends_at": instant(silence.ends_at),
        "comment": silence.comment,
        "author": silence.author,
        "created_at": instant(silence.created_at),
        "status": "ended" if silence.ends_at <= now else "active" if silence.starts_at <= now else "upcoming",
    }
