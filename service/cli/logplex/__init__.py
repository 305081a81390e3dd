"""Logplex, as a receiver sees it: what it puts into a request, and what it makes of each answer (heroku.md §1).

A node of Logplex has a buffer of 1024 messages and one request in flight. What gathers meanwhile goes into the next frame, up
to 100 KiB. A frame has three tries, all with one frame id and one right behind the other. A 4xx drops it at once; a
connection that cannot be made costs no try. What was lost is announced by an L10 line at the head of the next frame.

In reading order: `pieces.py` what is sent, `buffer.py` what waits, `losses.py` what is announced, `answers.py` what an
answer means, `request.py` how a frame is written, `habits.py` what may go otherwise, `tally.py` what became of it, all
without any I/O; then `connection.py` the socket, `node.py` the three tries, `fleet.py` several nodes.
"""

from service.cli.logplex.fleet import Fleet, fleet
from service.cli.logplex.habits import Habits
from service.cli.logplex.node import Node
from service.cli.logplex.pieces import Piece, moved, piece_of, stamp, take_frame
from service.cli.logplex.request import frame_id_of
from service.cli.logplex.tally import Tally

__all__ = [
    "Fleet",
    "Habits",
    "Node",
    "Piece",
    "Tally",
    "fleet",
    "frame_id_of",
    "moved",
    "piece_of",
    "stamp",
    "take_frame",
]
