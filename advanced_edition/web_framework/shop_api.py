"""An application made with the framework: a shop's API, as the lesson and its tests serve it.

    gunicorn "web_framework.shop_api:make_app('public')"

Products to read, add and remove (an administrator's right), a cached search, a log-in, public files
and an export of any length.
"""

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from web_framework.app import App
from web_framework.caching import cache
from web_framework.errors import HttpError
from web_framework.files import send_file
from web_framework.middleware.authentication import Authentication
from web_framework.middleware.compression import Compression
from web_framework.request import Request
from web_framework.response import Response, Stream, to_json
from web_framework.security import Passwords, Tokens, hash_password, require
from web_framework.validation import Between, validate

WORDS = ["tea", "coffee", "honey", "olives", "bread", "salt", "pepper", "cheese", "apples", "nuts"]
SECRET = b"for lessons only: a real one is random"
LINES_A_PIECE = 1_000
# Where something is; {} is a place to fill.
PATHS = [
    "/products/{}",
    "/products",
    "/files/{}",
    "/search?word={}",
    "/login",
    "/{}",
    "/export.csv",
]
Clock = Callable[[], float]


@dataclass
class NewProduct:
    """What a client sends to add a product; the price in euros."""

    name: Annotated[str, Between(1, 80)]
    price: Annotated[float, Between(0, 10_000)]
    tags: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise ValueError("a name is more than spaces")


@dataclass
class Login:
    """Who somebody says to be."""

    name: Annotated[str, Between(1, 80)]
    password: Annotated[str, Between(1, 200)]


class Shop:
    """The products; many threads ask at once."""

    def __init__(self) -> None:
        self.products: dict[int, dict] = {
            n: {"number": n, "name": word} for n, word in enumerate(WORDS, start=1)
        }
        self.lock = threading.Lock()
        self.searches = 0

    def add(self, new: NewProduct) -> dict:
        """Add a product and return it."""
        with self.lock:
            number = max(self.products, default=0) + 1
            product = {"number": number, "name": new.name, "price": new.price, "tags": new.tags}
            self.products[number] = product
        return product

    def search(self, word: str) -> dict:
        """The products whose name holds `word`."""
        with self.lock:
            self.searches += 1
            found = [one for one in self.products.values() if word in one["name"]]
        return {"found": found, "searches": self.searches}


def make_app(folder: Path | str, rows: int = 1_000, clock: Clock | None = None) -> App:
    """The API. `folder` holds public files, `rows` is the length of /export.csv in lines.

    `clock` (seconds) stands for both the time of day and the monotonic clock, in tests.
    """
    app, shop, public = App(max_body=100_000), Shop(), Path(folder)

    @app.provide
    def database() -> Shop:
        return shop

    app.middleware("compression")(Compression(minimum=500))
    add_log_in(app, clock or time.time)
    add_products(app)
    add_search(app, clock or time.monotonic)

    @app.route("/files/{name:path}")
    def file(name: str) -> Response:
        return send_file(public, name)

    @app.route("/export.csv")
    def export() -> Response:
        return Response(Stream(csv_lines(rows)), content_type="text/csv; charset=utf-8")

    return app


def add_log_in(app: App, clock: Clock) -> None:
    """Users by token, and where to get one. The password of each is its name and `-pw`."""
    tokens = Tokens(SECRET, seconds=900, clock=clock)
    roles = {"anna": "admin", "ivan": "reader"}
    passwords = Passwords({name: (roles[name], hash_password(f"{name}-pw")) for name in roles})
    app.middleware("authentication")(Authentication(tokens))

    @app.route("/login", methods=["POST"])
    @validate(Login)
    def login(body: Login) -> dict:
        user = passwords.user(body.name, body.password)
        if user is None:
            raise HttpError(401, "wrong name or password", [("WWW-Authenticate", "Bearer")])
        return {"token": tokens.issue(user)}


def add_products(app: App) -> None:
    """Reading is for everybody, changing for administrators."""

    @app.route("/products/{number:int}")
    def product(number: int, database: Shop) -> dict:
        if number not in database.products:
            raise HttpError(404, "no such product")
        return database.products[number]

    @app.route("/products", methods=["POST"])
    @require("admin")
    @validate(NewProduct)
    def add(body: NewProduct, database: Shop) -> Response:
        made = database.add(body)
        place = [("Location", f"/products/{made['number']}")]
        return Response(to_json(made).encode(), 201, place, "application/json")

    @app.route("/products/{number:int}", methods=["DELETE"])
    @require("admin")
    def remove(number: int, database: Shop) -> None:
        database.products.pop(number, None)


def add_search(app: App, clock: Clock) -> None:
    """Products whose name holds a word; the answer says which search it came from."""

    @app.route("/search")
    @cache(seconds=60, clock=clock)
    def search(request: Request, database: Shop) -> dict:
        return database.search(request.query.get("word", ""))


def csv_lines(rows: int) -> Iterator[str]:
    """A table of `rows` lines, a thousand at a time: as many as fit into one network write."""
    yield "number,word,amount\n"
    for start in range(0, rows, LINES_A_PIECE):
        numbers = range(start, min(start + LINES_A_PIECE, rows))
        yield "".join(f"{n},{WORDS[n % 10]},{n * 7919 % 10_000 / 100:.2f}\n" for n in numbers)


@contextmanager
def public_folder() -> Iterator[Path]:
    """A folder with a public file, and a secret one beside it, which must stay there."""
    with tempfile.TemporaryDirectory() as name:
        public = Path(name) / "public"
        public.mkdir()
        (public / "hello.txt").write_text("hello\n")
        (Path(name) / "secret.txt").write_text("root:secret\n")
        yield public
