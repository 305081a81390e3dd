"""What frames tell one after the other, to a keeper who goes on with what each has left unfinished."""

from collections.abc import Sequence
from dataclasses import replace

from pydantic import TypeAdapter

from parsers.event import Event
from parsers.frame import NOTHING, Unfinished, read_frame
from tests.parsers.readings import PRODUCTION, READING
from tests.vocabulary import NOON, frame_of

_KEPT = TypeAdapter(Unfinished)


def told(frames: Sequence[Sequence[bytes]]) -> list[Event]:
    """The events that frames tell, each at its place in the stream; kept between frames as JSON."""
    events: dict[tuple[int, str], Event] = {}
    before, begins = NOTHING, list[int]()  # of its traces, where the frame of each begins in the stream
    command_begins = begin = 0

    def keep(event: Event, begin: int) -> None:
        event = replace(event, place=begin + event.place)
        events[event.place, event.kind] = event

    for messages in frames:
        said = read_frame(frame_of(*messages), PRODUCTION, NOON, READING, before)
        for event in said.events:
            keep(event, begin)
        new = said.unfinished or NOTHING
        old_traces, still = [], []
        if said.continued:
            for event_or_none, at in zip(said.continued.traces, begins, strict=True):
                if event_or_none:
                    keep(event_or_none, at)
            of_old = zip(said.continued.open_traces, begins, strict=True)
            old_traces = [(trace, at) for trace, at in of_old if trace]
            if said.continued.command is not None and before.command:
                place = command_begins + before.command.place
                events[place, "release"] = replace(events[place, "release"], fields=dict(said.continued.command))
            still = [said.continued.open_command] if said.continued.open_command else []
        command = new.command or next(iter(still), None)
        command_begins = begin if new.command else command_begins
        begins = [at for _, at in old_traces] + [begin] * len(new.traces)
        left = Unfinished(tuple(trace for trace, _ in old_traces) + new.traces, new.memory, command)
        before = _KEPT.validate_json(_KEPT.dump_json(left))
        begin += len(messages)
    return [events[at] for at in sorted(events)]
