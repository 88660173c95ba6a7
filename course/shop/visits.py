"""What visitors do on the site and in the app: sessions from the first view to the purchase."""

from bisect import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from course.shop.baskets import Shelf
from course.shop.catalogue import Product
from course.shop.dice import Dice, Share
from course.shop.people import Population
from course.shop.seasons import DAY_SECONDS, second_of_day, timestamp
from course.shop.truths import CART_RATE, CHECKOUT_RATE, PURCHASE_RATE, Kind

# Of the visits that end before the checkout, this share per cent never signs in.
ANONYMOUS_LOOKERS, ANONYMOUS_CARTS = 60, 40

# An event before it gets its numbers: second, customer_id, and the columns from type to order_id.
Event = tuple[int, str, str]
NULL = r"\N"
CHECKOUT = f"checkout\t{NULL}\t{NULL}"


@dataclass(frozen=True, slots=True)
class Purchase:
    """An order placed on the site or in the app; `customer` is an index."""

    order_id: int
    customer: int
    second: int
    products: list[Product]


class Visits:
    """Makes the sessions of one day after the other."""

    def __init__(self, people: Population, dice: Dice) -> None:
        self._people, self._dice = people, dice
        self._abandoned = {group: Share(100 - rate, rate) for group, rate in PURCHASE_RATE.items()}
        self._left_carts = Share(100 - CHECKOUT_RATE, CHECKOUT_RATE)
        self._lookers = Share(100 - CART_RATE, CART_RATE)
        self._sessions = self._events = 0

    def on_day(self, day: int, purchases: Sequence[Purchase], shelf: Shelf) -> list[str]:
        """The rows of web_events of a day, as text for COPY, in the order of time."""
        rows = []
        for session in sorted(self._sessions_of(day, purchases, shelf)):
            self._sessions += 1
            rows += [
                (second, f"{customer}\t{self._sessions}\t{rest}")
                for second, customer, rest in session
            ]
        rows.sort()
        first, self._events = self._events + 1, self._events + len(rows)
        return [
            f"{number}\t{text}\t{timestamp(second)}\n"
            for number, (second, text) in enumerate(rows, start=first)
        ]

    def _sessions_of(
        self, day: int, purchases: Sequence[Purchase], shelf: Shelf
    ) -> Iterator[list[Event]]:
        """Every session of the day; those without a purchase follow from those with one."""
        for purchase in purchases:
            yield self._purchase(purchase, shelf)
            group = self._people.groups[purchase.customer]
            abandoned = self._abandoned[group].of()
            for _ in range(abandoned):
                yield self._stopped(day, shelf, str(self._visitor(day, group) + 1), "checkout")
            left_carts = self._left_carts.of(1 + abandoned)
            for _ in range(left_carts):
                yield self._stopped(day, shelf, self._someone(day, ANONYMOUS_CARTS), "cart")
            for _ in range(self._lookers.of(1 + abandoned + left_carts)):
                yield self._stopped(day, shelf, self._someone(day, ANONYMOUS_LOOKERS), "view")

    def _purchase(self, purchase: Purchase, shelf: Shelf) -> list[Event]:
        """A session that ends with an order: its products were viewed and put into the cart."""
        customer, second = str(purchase.customer + 1), purchase.second
        steps = [_step("view", product) for product in self._looking(shelf, self._dice.below(2))]
        for product in purchase.products:
            steps += [_step("view", product), _step("cart", product)]
        steps.append(CHECKOUT)
        events = [(second, customer, f"purchase\t{NULL}\t{purchase.order_id}")]
        for step in reversed(steps):
            second -= self._dice.between(10, 120)
            events.append((second, customer, step))
        return events[::-1]

    def _stopped(self, day: int, shelf: Shelf, customer: str, last: str) -> list[Event]:
        """A session that goes no further than the step `last`."""
        seen = self._looking(shelf, 1 + self._dice.below(2))
        steps = [_step("view", product) for product in seen]
        if last != "view":
            steps.append(_step("cart", seen[-1]))
        if last == "checkout":
            steps.append(CHECKOUT)
        second = day * DAY_SECONDS + second_of_day(self._dice)
        events = []
        for step in steps:
            events.append((second, customer, step))
            second += self._dice.between(10, 120)
        return events

    def _looking(self, shelf: Shelf, count: int) -> list[Product]:
        choose = self._dice.weighted
        return [shelf.products[choose(shelf.looked_at)] for _ in range(count)]

    def _someone(self, day: int, anonymous: int) -> str:
        """A customer_id, or NULL in `anonymous` per cent of cases."""
        return NULL if self._dice.chance(anonymous) else str(self._visitor(day) + 1)

    def _visitor(self, day: int, group: str | None = None) -> int:
        """A customer, registered by `day`, who still visits; of `group` when one is given."""
        people = self._people
        known = bisect(people.registered, day)
        while True:
            customer = self._dice.below(known)
            if people.kinds[customer] is Kind.DORMANT:
                continue
            if group is None or people.groups[customer] == group:
                return customer


def _step(kind: str, product: Product) -> str:
    return f"{kind}\t{product.number}\t{NULL}"
