"""A bare endpoint on the server that drainwatch uses: reads the body, answers 204. `python tests/bench/bare.py PORT`."""

import sys
from typing import Any

import uvicorn


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Reads and forgets."""
    while (await receive()).get("more_body", False):
        pass
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


if __name__ == "__main__":
    port = int(sys.argv[1])
    uvicorn.run(
        app, port=port, http="httptools", loop="uvloop", ws="none", lifespan="off", access_log=False, log_level="error"
    )
