"""What each endpoint of the demo API answers, before any fault is done to it."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from aiohttp import web
from yarl import URL

from course.demo_api import data
from course.demo_api.knobs import LIMITS, BadRequestError, number, whole_number
from course.shop.catalogue import Product, products

HISTORY_PAGE, PRODUCT_PAGE = 500, 20
LARGEST_DOWNLOAD_MB = 200


class NotFoundError(LookupError):
    """There is no such thing; the text says what there is."""


@dataclass(frozen=True)
class Answer:
    """A status and a body of `length` bytes that comes in pieces."""

    status: int
    length: int
    pieces: Iterable[bytes]
    headers: Mapping[str, str]

    @classmethod
    def from_json(
        cls, value: object, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> "Answer":
        """`value` as JSON, in two pieces so that something can happen between them."""
        body = json.dumps(value, ensure_ascii=False).encode()
        half = len(body) // 2
        sent = {"Content-Type": "application/json; charset=utf-8", **(headers or {})}
        return cls(status, len(body), (body[:half], body[half:]), sent)


@dataclass(frozen=True)
class Endpoint:
    """A path, what it is for, its own parameters, and the function that answers."""

    path: str
    summary: str
    parameters: tuple[str, ...]
    answer: Callable[[web.Request, int], Awaitable[Answer]]


def page_link(url: URL, **changes: str | int) -> str:
    """The address of the next page: the same parameters but for `changes`, without the host."""
    return str(url.without_query_params("attempt").update_query(changes))


def moment(query: Mapping[str, str], name: str, default: datetime) -> datetime:
    """The parameter `name` as a time in UTC within the years there are; BadRequestError else."""
    if name not in query:
        return default
    try:
        given = datetime.fromisoformat(query[name])
    except ValueError:
        form = "2025-10-25T00:00:00Z"
        raise BadRequestError(f"{name}={query[name]} is not a time like {form}") from None
    aware = given.replace(tzinfo=UTC) if given.tzinfo is None else given
    return min(max(aware, data.BEGIN), data.NOW).astimezone(UTC)


def find_city(request: web.Request) -> data.City:
    """The city that the path names, in any case of letters."""
    name = request.match_info["city"]
    if name.lower() not in data.CITIES:
        known = ", ".join(city.name for city in data.CITIES.values())
        raise NotFoundError(f"no city '{name}'; there are {known}")
    return data.CITIES[name.lower()]


def find_company(request: web.Request) -> data.Company:
    """The company whose symbol the path names, in any case of letters."""
    symbol = request.match_info["symbol"]
    if symbol.upper() not in data.COMPANIES:
        raise NotFoundError(f"no symbol '{symbol}'; there are {', '.join(data.COMPANIES)}")
    return data.COMPANIES[symbol.upper()]


def history(
    request: web.Request, about: dict[str, object], rows: Sequence[dict[str, object]], limit: int
) -> Answer:
    """A page of rows; `rows` holds one more than `limit` when there is a next page."""
    page = rows[:limit]
    following = None
    if len(rows) > limit:
        following = page_link(request.rel_url, since=str(page[-1]["observed_at"]))
    return Answer.from_json({**about, "rows": page, "next": following})


async def index(request: web.Request, seed: int) -> Answer:
    """The endpoints and the knobs."""
    listed = [
        {"path": one.path, "parameters": one.parameters, "what": one.summary} for one in ENDPOINTS
    ]
    return Answer.from_json({"now": data.stamp(data.NOW), "endpoints": listed, "knobs": [*LIMITS]})


async def weather_cities(request: web.Request, seed: int) -> Answer:
    """The cities."""
    return Answer.from_json({"cities": [city.name for city in data.CITIES.values()]})


def _place(city: data.City) -> dict[str, object]:
    return {
        "city": city.name,
        "country": city.country,
        "latitude": city.latitude,
        "longitude": city.longitude,
    }


async def weather(request: web.Request, seed: int) -> Answer:
    """The newest observation of a city."""
    city = find_city(request)
    return Answer.from_json({**_place(city), **data.weather_at(city, data.NOW, seed)})


async def weather_history(request: web.Request, seed: int) -> Answer:
    """Hourly observations later than `since` (default: the last day)."""
    city, query = find_city(request), request.query
    since = moment(query, "since", data.NOW - timedelta(days=1))
    limit = history_limit(query)
    return history(request, _place(city), data.weather_since(city, since, limit + 1, seed), limit)


def history_limit(query: Mapping[str, str]) -> int:
    """How many rows a page of history may hold."""
    return whole_number(query, "limit", 1, 1000) if "limit" in query else HISTORY_PAGE


async def quote_symbols(request: web.Request, seed: int) -> Answer:
    """The symbols."""
    return Answer.from_json({"symbols": list(data.COMPANIES)})


async def quote(request: web.Request, seed: int) -> Answer:
    """The newest quote of a symbol."""
    company = find_company(request)
    newest = data.daily_quotes(company, seed)[-1]
    return Answer.from_json({"symbol": company.symbol, "company": company.name, **newest})


async def quote_history(request: web.Request, seed: int) -> Answer:
    """Daily quotes later than `since` (default: the last 30 days)."""
    company, query = find_company(request), request.query
    since = moment(query, "since", data.NOW - timedelta(days=30))
    limit = history_limit(query)
    about: dict[str, object] = {"symbol": company.symbol, "company": company.name}
    return history(request, about, data.quotes_since(company, since, limit + 1, seed), limit)


def _as_json(product: Product) -> dict[str, object]:
    """What a customer may see of a product; money is text, so that no client makes it a float."""
    return {
        "product_id": product.number,
        "name": product.name,
        "category": product.category,
        "price": f"{product.price // 100}.{product.price % 100:02}",
        "currency": "EUR",
        "attributes": json.loads(product.attributes),
        "added_on": product.added_on,
        "discontinued_on": product.discontinued_on,
    }


async def catalogue(request: web.Request, seed: int) -> Answer:
    """A page of the shop's products, of one `category` or of all."""
    query = request.query
    page = whole_number(query, "page", 1, 10**6) if "page" in query else 1
    size = whole_number(query, "per_page", 1, 100) if "per_page" in query else PRODUCT_PAGE
    found = list(products())
    if "category" in query:
        wanted = query["category"].lower()
        found = [product for product in found if product.category.lower() == wanted]
        if not found:
            known = ", ".join(sorted({product.category for product in products()}))
            raise NotFoundError(f"no category '{query['category']}'; there are {known}")
    shown = found[(page - 1) * size : page * size]
    more = page * size < len(found)
    return Answer.from_json(
        {
            "products": [_as_json(product) for product in shown],
            "page": page,
            "total": len(found),
            "next": page_link(request.rel_url, page=page + 1) if more else None,
        }
    )


async def download(request: web.Request, seed: int) -> Answer:
    """`mb` megabytes (default 1), or the Range of them that the client asks for."""
    query = request.query
    size = 1_000_000
    if "mb" in query:
        size = round(1_000_000 * number(query, "mb", 0.001, LARGEST_DOWNLOAD_MB))
    checksum = await asyncio.to_thread(data.download_checksum, size, seed)
    headers = {
        "Content-Type": "application/octet-stream",
        "Accept-Ranges": "bytes",
        "X-Checksum-SHA256": checksum,
    }
    try:
        wanted = range(size)[request.http_range]
    except ValueError:
        wanted = range(0)
    if not wanted:
        unsatisfiable = {"Content-Range": f"bytes */{size}"}
        reason = {"error": "range not satisfiable", "reason": f"there are {size} bytes"}
        return Answer.from_json(reason, 416, unsatisfiable)
    partial = "Range" in request.headers
    if partial:
        headers["Content-Range"] = f"bytes {wanted.start}-{wanted.stop - 1}/{size}"
    pieces = data.download_chunks(wanted, seed)
    return Answer(206 if partial else 200, len(wanted), pieces, headers)


ENDPOINTS = (
    Endpoint("/", "this list", (), index),
    Endpoint("/weather", "the cities", (), weather_cities),
    Endpoint("/weather/{city}", "the newest observation", (), weather),
    Endpoint("/weather/{city}/history", "hourly", ("since", "limit"), weather_history),
    Endpoint("/quotes", "the symbols", (), quote_symbols),
    Endpoint("/quotes/{symbol}", "the newest quote", (), quote),
    Endpoint("/quotes/{symbol}/history", "daily", ("since", "limit"), quote_history),
    Endpoint("/products", "the shop's catalogue", ("page", "per_page", "category"), catalogue),
    Endpoint("/download", "bytes with a checksum", ("mb",), download),
)
