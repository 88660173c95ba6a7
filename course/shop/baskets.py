"""What is bought: the lines of an order, with pairs, outliers and the prices of the day."""

from dataclasses import dataclass
from itertools import accumulate

from course.shop.catalogue import Product, products
from course.shop.dice import Dice, deck
from course.shop.truths import NORMAL_QUANTITY, OUTLIER_EVERY, OUTLIER_QUANTITY, PAIRS

# How many products an order has besides those of PAIRS: 1, 2, 3 … with these weights.
LINES = tuple(accumulate((43, 31, 16, 7, 2, 1)))
VIP_MORE_LINES = 50  # per cent of VIP orders have one line more
# How many pieces of a product that costs less than DEAR: 1, 2, 3 or NORMAL_QUANTITY.
QUANTITIES = tuple(accumulate((78, 15, 5, 2)))
DEAR = 10_000  # cents
# What companies order in large numbers, as presents.
OUTLIER_PRODUCTS = ("Thermos Bottle", "Desk Lamp", "Power Bank 20 Ah", "Wireless Earbuds")

Line = tuple[Product, int]  # a product and how many pieces of it


def is_outlier(order_id: int) -> bool:
    """Whether the order is one of the planted outliers: one of every OUTLIER_EVERY orders."""
    block, place = divmod(order_id - 1, OUTLIER_EVERY)
    # Multiplying by a number prime to OUTLIER_EVERY scatters the places without chance.
    return place == (block * 187 + 211) % OUTLIER_EVERY


def outlier_order_ids(scale: int) -> list[int]:
    """The numbers of all outlier orders of a shop with `scale` orders."""
    return [order_id for order_id in range(1, scale + 1) if is_outlier(order_id)]


@dataclass(frozen=True, slots=True)
class Shelf:
    """What is on sale in a month, with running totals of demand for looking and for buying."""

    products: list[Product]
    looked_at: list[int]
    bought: list[int]


def shelf(day: str) -> Shelf:
    """The shelf from `day` on, the first day of a month (ISO)."""
    paired = {name for pair in PAIRS for name in pair}
    available = [product for product in products() if product.on_sale(day)]
    return Shelf(
        products=available,
        looked_at=list(accumulate(product.demand for product in available)),
        # Baskets get the products of PAIRS in known numbers, never by demand.
        bought=list(
            accumulate(0 if product.name in paired else product.demand for product in available)
        ),
    )


class Baskets:
    """Fills baskets."""

    def __init__(self, dice: Dice) -> None:
        self._dice = dice
        by_name = {product.name: product for product in products()}
        self._outlier_products = [by_name[name] for name in OUTLIER_PRODUCTS]
        decks = []
        for (first, second), (both, only_first, only_second) in PAIRS.items():
            one, other = by_name[first], by_name[second]
            counts: dict[tuple[Product, ...], int] = {
                (one, other): both,
                (one,): only_first,
                (other,): only_second,
                (): 1000 - both - only_first - only_second,
            }
            decks.append(deck(dice, counts))
        self._pairs = zip(*decks, strict=True)

    def fill(self, shelf: Shelf, vip: bool, outlier: bool) -> list[Line]:
        """The lines of an order; a product stands in it at most once."""
        dice = self._dice
        paired = [product for products in next(self._pairs) for product in products]
        lines = {product: self._quantity(product) for product in paired}
        count = 1 + dice.weighted(LINES)
        if vip and dice.chance(VIP_MORE_LINES):
            count += 1
        for _ in range(count):
            product = shelf.products[dice.weighted(shelf.bought)]
            lines[product] = self._quantity(product)
        if outlier:
            lines[dice.pick(self._outlier_products)] = dice.between(*OUTLIER_QUANTITY)
        return list(lines.items())

    def _quantity(self, product: Product) -> int:
        if product.price >= DEAR:
            return 1
        return min(1 + self._dice.weighted(QUANTITIES), NORMAL_QUANTITY)
