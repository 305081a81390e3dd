"""Names to addresses, so that a silent DNS server holds up nobody who did not ask for its names."""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress

# Name → addresses, as `getaddrinfo` orders them. Raises OSError (`socket.gaierror`) where it has none.
Resolve = Callable[[str], Awaitable[list[str]]]


class SystemNames:
    """The system's resolver, one question for a name at a time.

    `getaddrinfo` blocks for as long as it likes and cannot be cancelled: in the loop's few threads, two names whose servers
    are silent would hold up all others, so each question has a thread of its own, and who asks for the same name meanwhile
    waits for the same answer. The threads are daemons, for a process that ends does not wait for DNS.
    """

    def __init__(self) -> None:
        self._asked: dict[str, asyncio.Future[list[str]]] = {}

    async def resolve(self, host: str) -> list[str]:
        """The addresses of `host`, each once, in the system's order. Raises socket.gaierror where there are none."""
        answer = self._asked.get(host)
        if answer is None:
            answer = self._asked[host] = asyncio.get_running_loop().create_future()
            answer.add_done_callback(lambda _: self._asked.pop(host, None))
            threading.Thread(target=_look_up, args=(host, answer), daemon=True, name="drainwatch-dns").start()
        return await asyncio.shield(answer)


def _look_up(host: str, answer: "asyncio.Future[list[str]]") -> None:
    found: list[str] | OSError | UnicodeError
    try:
        found = list(
            dict.fromkeys(str(entry[4][0]) for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))
        )
    except (OSError, UnicodeError) as error:
        found = error
    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        answer.get_loop().call_soon_threadsafe(_settle, answer, found)


def _settle(answer: "asyncio.Future[list[str]]", found: list[str] | OSError | UnicodeError) -> None:
    if isinstance(found, list):
        answer.set_result(found)
    else:
        answer.set_exception(found)
        answer.exception()  # seen: who asked may have given up by now
