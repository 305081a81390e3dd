"""Every H, R and L code of Heroku: name, severity, what it means, what to do first (Heroku: Error codes).

The name is the one that is logged, where a line was seen, else the documentation's title; retired codes and numbers that were
left out are there too. A code that is not is still an event: `severity_of` has a severity for any.

The severity is that of the event. Whatever the router writes as `at=error` is at least an error; what it writes as
`at=warning` or `at=info` (H27, H28, H80 to H83) is none: a client that left, or a state that someone chose. R14 is an error
although its incident is a warning. L10's severity grows with what was lost: `kinds/logplex_error.py`.
"""

from dataclasses import dataclass

from parsers.event import Severity

# Code, severity and name; below it what it means; behind `>` what to do first, where something is to be done.
_TABLE = """
H10 critical App crashed
    Every web dyno has crashed or failed to boot, so nothing answers.
    > Read the lines before `State changed from … to crashed`; fix or `heroku rollback`; `heroku restart` ends the cool-off.
H11 critical Backlog too deep
    More requests wait for the app than a router holds: 200 for each web dyno.
    > Add web dynos, or shorten the requests.
H12 error    Request timeout
    The app sent no byte within 30 s. The dyno goes on working at it.
    > Look at the path; move slow work to a worker; set a timeout below 30 s in the app.
H13 error    Connection closed without response
    The dyno took the connection and closed it without a byte: a worker killed or crashed, or a keep-alive that ended.
    > Set the server's keep-alive to 90 s or more and its worker timeout above 30 s; look for crashes.
H14 critical No web processes running
    The app is scaled to no web dynos.
    > `heroku ps:scale web=1`
H15 error    Idle connection
    The response stood still for 55 s and was cut off.
    > Send data, or a heartbeat, more often.
H16 info     Redirect to herokuapp.com
    No longer in use.
H17 error    Poorly formatted HTTP response
    The app's response is not valid HTTP, such as a status line without a reason.
    > Correct what the server sends.
H18 error    Server Request Interrupted
    The connection to the dyno broke after the response had begun.
    > Look for a crash or an R14/R15 at that moment, and at the server's keep-alive.
H19 error    Backend connection timeout
    No dyno could be connected to within 5 s.
    > Run at least two web dynos; look at their load.
H20 critical App boot timeout
    A request waited 75 s and no web dyno came up.
    > Shorten the boot; see R10.
H21 error    Backend connection refused
    The dyno refused the connection.
    > Bind to 0.0.0.0:$PORT; see whether the server process lives.
H22 error    Connection limit reached
    Too many clients are connected to the app at one router.
    > Answer faster, or add web dynos.
H23 error    Endpoint misconfigured
    A WebSocket handshake came over a way that cannot carry it.
    > Connect to the app's own host.
H24 error    Forced close
    A router was shut down during the request.
    > Let clients try again.
H25 error    HTTP restriction
    The router refused the dyno's response: a wrong content length, or a header, cookie or status line too large.
    > Correct the response that `desc` names.
H26 error    Request Error
    The client's request is broken HTTP; `cause` says how.
    > None in the app; block the client if it persists.
H27 info     Client Request Interrupted
    The client left before the response came.
    > If there are many, look at the response times.
H28 info     Client Connection Idle
    The client sent nothing for 55 s.
H29 error    Undocumented
    Heroku has never said what this is.
    > If it comes, ask Heroku's support.
H30 error    Undocumented
    Heroku has never said what this is.
    > If it comes, ask Heroku's support.
H31 error    Misdirected Request
    A request for a host that is not served here: old DNS, or a crawler.
    > If users complain, check DNS and the CDN.
H32 error    TLS Certificate Mismatch
    The host asked for is not the one that TLS was set up for.
    > Check the domain, its certificate, and what the CDN sends as SNI.
H33 error    HTTP/2 Stream Broken
    An HTTP/2 stream failed; the router cannot always tell on whose side.
    > Watch how often.
H34 critical All up dynos are quarantined
    Every dyno that is up refused or timed out, so the router holds off from all.
    > See H19 and H21.
H80 info     Maintenance mode
    The app is in maintenance mode.
    > `heroku maintenance:off` when done.
H81 info     Blank app
    Nothing was deployed yet.
    > Deploy.
H82 warning  Free dyno quota exhausted
    The account's pool of Eco dyno hours is empty and the dynos sleep.
    > Upgrade the dyno type.
H83 info     Planned Service Degradation
    The platform does this on purpose.
    > See Heroku's status page.
H99 error    Platform error
    A fault of Heroku's own.
    > See Heroku's status page and wait.
R10 critical Boot timeout
    The web process did not bind to $PORT in time and was killed.
    > Bind to 0.0.0.0:$PORT; shorten the boot.
R11 info     Bad bind
    No longer in use.
R12 warning  Exit timeout
    A process went on 30 s after SIGTERM and was killed.
    > Handle SIGTERM.
R13 info     Attach error
    The client of a `heroku run` did not connect within 30 s.
    > `heroku run:detached`, or open the firewall.
R14 error    Memory quota exceeded
    The dyno uses more memory than it has, and swaps.
    > Find the leak, run fewer workers, or take a larger dyno.
R15 critical Memory quota vastly exceeded
    The dyno used more than twice its memory and was killed.
    > As for R14, at once.
R16 info     Detached
    A one-off dyno lives on after its client left.
    > `heroku ps:stop` it.
R17 error    Checksum error
    The slug that the dyno fetched is not the one that was built; it was not started.
    > Deploy again, or roll back.
R99 warning  Platform error
    Heroku could not start the dyno.
    > See Heroku's status page and wait.
L10 warning  output buffer overflow
    A drain did not take lines as fast as they came, and some were dropped.
    > Make the drain's receiver faster, or log less.
L11 info     Tail buffer overflow
    A `heroku logs --tail` did not keep up.
    > Filter the tail.
L12 warning  Local buffer overflow
    The app writes faster than its lines are shipped from the dyno.
    > Log less.
L13 warning  Local delivery error
    Lines could not be shipped from the dyno.
    > If it lasts, ask Heroku's support.
L14 warning  certificate validation
    The certificate of a TLS syslog drain is not accepted.
    > Renew the certificate at the host that `uri` names.
L15 info     Tail buffer temporarily unavailable
    `heroku logs` cannot show past lines.
    > Try again.
L20 info     Tail sessions forbidden
    The app logs too much to be tailed.
    > Use a drain.
"""


@dataclass(frozen=True, slots=True)
class Code:
    """One code. `remedy` is what to do first; empty where nothing is to be done."""

    code: str
    name: str
    severity: Severity
    meaning: str
    remedy: str = ""


def severity_of(code: str) -> Severity:
    """The severity of an event with this code. A code that is not in the catalogue is an error; of logging, a warning."""
    if code in CODES:
        return CODES[code].severity
    return Severity.WARNING if code.startswith("L") else Severity.ERROR


def _read(table: str) -> dict[str, Code]:
    codes = {}
    for entry in table.strip().replace("\n    ", "\t").splitlines():
        head, meaning, *remedy = entry.split("\t")
        code, severity, name = head.split(maxsplit=2)
        codes[code] = Code(code, name, Severity.of(severity), meaning, "".join(remedy).removeprefix("> "))
    return codes


CODES: dict[str, Code] = _read(_TABLE)
