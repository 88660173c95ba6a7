"""The demo API: weather, quotes, shop products and a large download, on this machine.

It serves HTTP on a free port of 127.0.0.1, inside a lesson or as a command:

    async with demo_api.serve() as base_url: ...
    python -m course.demo_api --port 8080

Endpoints (GET, JSON; times are UTC, and "now" is always 2025-10-26T12:00:00Z)

    /                            this list
    /weather                     the cities
    /weather/{city}              the newest observation
    /weather/{city}/history      hourly observations    ?since=TIME &limit=N
    /quotes                      the symbols
    /quotes/{symbol}             the newest quote
    /quotes/{symbol}/history     daily quotes           ?since=TIME &limit=N
    /products                    the shop's catalogue   ?page=N &per_page=N &category=NAME
    /download                    bytes                  ?mb=N (megabytes of 1,000,000 bytes)
    /stats                       what was asked so far; DELETE /stats forgets it

A history answers with what is strictly newer than `since`, oldest first. Where there is more,
`next` is the address of the next page, else null. A download carries its SHA-256 in the header
X-Checksum-SHA256 and honours Range, so that a broken one can be resumed.

Knobs, as query parameters of any endpoint but /stats

    delay=SECONDS     wait before answering (also before an error)
    stall=SECONDS     wait in the middle of the body
    fail=SHARE        answer 503 to this share (0 to 1) of the requests
    throttle=SHARE    answer 429 with a Retry-After header of retry_after=SECONDS (1), and again
                      to whoever comes back for the same resource before that time is over
    garble=SHARE      answer 200 with half of the JSON, so that it can't be parsed
    drop=SHARE        close the connection in the middle of the body
    seed=N            another seed gives another sequence of faults (0)
    attempt=N         say which attempt this is instead of letting the server count

A request is hit by at most one fault. Which one depends on the seed, the resource (the path and its
parameters, without the knobs) and the attempt: the n-th request for a resource. It depends neither
on time nor on the requests for other resources, so however concurrent the client is, the same work
meets the same faults. Whoever asks for *one* resource several times at once, or uses a server that
others have used, passes `attempt`.

Errors are JSON as well: {"error": "not found", "reason": "no city 'Atlantis'; …"}. A parameter that
the endpoint does not know, or that makes no sense, is a 400.
"""

from course.demo_api.data import BEGIN, CITIES, COMPANIES, NOW
from course.demo_api.server import serve

__all__ = ["BEGIN", "CITIES", "COMPANIES", "NOW", "serve"]
