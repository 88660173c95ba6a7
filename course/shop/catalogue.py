"""The 120 products: names, prices, attributes, and how strongly each of them sells."""

import json
from dataclasses import dataclass
from functools import cache

from course.shop.dice import Dice
from course.shop.truths import PRICE_CHANGE, PRICE_CHANGE_CATEGORY, PRICE_CHANGE_ON

# category: "name | price in euros before any change | demand". Demand is the revenue that a product
# is meant to bring, against that of the others: 150 or more for A products, 20 or less for C.
CATALOGUE = {
    "Electronics": """
        Smartphone Alto 5 | 449 | 470
        Laptop Lumo 14 | 689 | 730
        Tablet Alto 10 | 299 | 590
        Wireless Earbuds | 59 | 550
        Noise-Cancelling Headphones | 189 | 540
        Smartwatch Puls | 149 | 500
        Power Bank 20 Ah | 39 | 390
        Phone Case Clear | 19 | 28
        USB-C Charger 65 W | 34 | 70
        Bluetooth Speaker | 49 | 60
        Mechanical Keyboard | 79 | 55
        HDMI Cable 2 m | 9 | 10
        Webcam HD | 44 | 9
        SD Card 128 GB | 17 | 12
        Travel Adapter | 14 | 7
    """,
    "Kitchen": """
        Espresso Machine Lumo | 289 | 300
        Food Processor | 159 | 510
        Cast-Iron Pan | 54 | 430
        Knife Set Karpaty | 89 | 410
        Thermos Bottle | 32 | 340
        Coffee Beans 1 kg | 18 | 40
        Electric Kettle | 39 | 62
        Toaster | 35 | 48
        Baking Tray Set | 24 | 34
        Milk Frother | 29 | 30
        Wooden Spoons | 11 | 12
        Salt and Pepper Mills | 26 | 10
        Tea Towels | 9 | 6
        Measuring Cups | 8 | 8
        Glass Storage Set | 27 | 15
    """,
    "Home": """
        Robot Vacuum | 259 | 580
        Office Chair Ergo | 219 | 520
        Desk Lamp | 42 | 350
        Linen Bedding | 94 | 80
        Wool Blanket | 69 | 66
        Floor Lamp | 84 | 52
        Wall Clock | 29 | 30
        Curtains Grey | 38 | 28
        Bath Towel Set | 33 | 16
        Scented Candle | 13 | 14
        Picture Frame A3 | 16 | 9
        Flower Pot Clay | 12 | 7
        Door Mat | 19 | 6
        Laundry Basket | 23 | 8
        Cushion Cover | 11 | 5
    """,
    "Outdoor": """
        Two-Person Tent | 179 | 155
        Trail Backpack 40 l | 69 | 460
        Hiking Boots Karpaty | 129 | 510
        Rain Jacket Nordic | 99 | 430
        Camping Stove | 64 | 280
        Sleeping Bag | 79 | 85
        Head Torch | 27 | 58
        Trekking Poles | 49 | 50
        Folding Chair | 36 | 36
        Water Filter | 32 | 14
        First-Aid Kit | 22 | 12
        Camping Mug | 9 | 8
        Rope 20 m | 18 | 5
        Compass | 15 | 4
        Hammock | 39 | 16
    """,
    "Sports": """
        Running Shoes Swift | 119 | 160
        City Bicycle | 399 | 560
        Dumbbell Set 20 kg | 74 | 370
        Football Size 5 | 25 | 220
        Yoga Mat | 39 | 48
        Running Socks 3-Pack | 12 | 30
        Yoga Block | 14 | 30
        Bicycle Helmet | 52 | 74
        Swim Goggles | 18 | 26
        Tennis Racket | 67 | 40
        Skipping Rope | 10 | 9
        Resistance Bands | 16 | 14
        Foam Roller | 22 | 11
        Sports Bottle | 8 | 10
        Badminton Set | 28 | 6
    """,
    "Books": """
        SQL from Scratch | 34 | 64
        Python for Data People | 38 | 76
        The Art of Borscht | 27 | 44
        Carpathian Trails | 24 | 32
        History of Kyiv | 31 | 26
        Statistics without Tears | 29 | 17
        Short Stories from Lviv | 14 | 8
        European Cities by Train | 22 | 13
        The Quiet Harbour | 12 | 7
        Winter in Odesa | 13 | 6
        Drawing for Beginners | 18 | 9
        Chess Endings | 21 | 5
        Garden Calendar | 16 | 4
        Poems of the Steppe | 11 | 3
        Kids' Atlas | 19 | 11
    """,
    "Beauty": """
        Face Serum | 36 | 54
        Electric Toothbrush | 62 | 78
        Hair Dryer | 48 | 46
        Shampoo Birch | 9 | 24
        Hand Cream Honey | 7 | 18
        Sun Lotion SPF 50 | 15 | 19
        Beard Oil | 14 | 6
        Lip Balm Set | 8 | 9
        Bath Salts | 11 | 5
        Perfume Linden | 57 | 20
        Soap Lavender | 5 | 7
        Nail Care Kit | 17 | 4
        Face Mask Clay | 10 | 8
        Body Scrub | 13 | 5
        Make-Up Brushes | 24 | 6
    """,
    "Toys": """
        Wooden Train Set | 58 | 58
        Building Blocks 500 | 42 | 72
        Board Game Steppe | 35 | 46
        Puzzle 1000 Lviv | 17 | 28
        Plush Bear | 21 | 15
        Toy Kitchen | 76 | 20
        Marble Run | 33 | 14
        Playing Cards | 6 | 8
        Kite | 16 | 6
        Modelling Clay | 9 | 9
        Doll Olenka | 26 | 12
        Water Colours | 12 | 7
        Balance Bike | 69 | 18
        Yo-Yo | 5 | 3
        Magic Set | 28 | 6
    """,
}
COLOURS = ("black", "white", "blue", "green", "red", "grey", "yellow", "natural")
BRANDS = {
    "Electronics": ("Alto", "Lumo", "Puls"),
    "Kitchen": ("Lumo", "Karpaty", "Domivka"),
    "Home": ("Domivka", "Lipa", "Nordic"),
    "Outdoor": ("Karpaty", "Nordic", "Vershyna"),
    "Sports": ("Swift", "Dynamika", "Vershyna"),
    "Books": ("Barvinok Press", "Old Town Books"),
    "Beauty": ("Lipa", "Rosa", "Medok"),
    "Toys": ("Kazka", "Holz und Spiel"),
}
TAGS = {
    "Electronics": ("wireless", "usb-c", "bestseller", "gift"),
    "Kitchen": ("steel", "dishwasher-safe", "gift", "bestseller"),
    "Home": ("cotton", "eco", "sale", "gift"),
    "Outdoor": ("waterproof", "light", "summer", "winter"),
    "Sports": ("training", "summer", "eco", "bestseller"),
    "Books": ("paperback", "hardcover", "gift", "new edition"),
    "Beauty": ("vegan", "eco", "travel size", "gift"),
    "Toys": ("wood", "family", "gift", "educational"),
}
PRICE_CHANGE_DAY = PRICE_CHANGE_ON.isoformat()
# First days on which some products were added or taken off; all others are there from the start.
ADDED = ("2023-03-01", "2023-09-01", "2024-04-01", "2024-10-01", "2025-03-01")
DISCONTINUED = ("2023-11-01", "2024-06-01", "2024-12-01", "2025-05-01")


@dataclass(frozen=True, slots=True, eq=False)
class Product:
    """A product; `price` and `old_price` are cents, `demand` the weight with which it is picked."""

    number: int
    name: str
    category: str
    price: int
    old_price: int
    cost: int
    attributes: str
    added_on: str
    discontinued_on: str | None
    demand: int

    def on_sale(self, day: str) -> bool:
        """Whether it was sold on `day` (an ISO date; both dates are first days of a month)."""
        return self.added_on <= day and not (self.discontinued_on and self.discontinued_on <= day)

    def price_on(self, day: str) -> int:
        """Its price in cents on `day` (an ISO date)."""
        return self.price if day >= PRICE_CHANGE_DAY else self.old_price


@cache
def products() -> tuple[Product, ...]:
    """All products, numbered from 1."""
    dice = Dice(120)
    rows = [
        (category, *(part.strip() for part in line.split(" | ")))
        for category, lines in CATALOGUE.items()
        for line in lines.strip().splitlines()
    ]
    return tuple(_product(dice, number, *row) for number, row in enumerate(rows, start=1))


def _product(dice: Dice, number: int, category: str, name: str, euros: str, points: str) -> Product:
    old_price = int(euros) * 100
    changed = category == PRICE_CHANGE_CATEGORY
    price = old_price * (100 + PRICE_CHANGE) // 100 if changed else old_price
    added_on, discontinued_on = "2022-10-01", None
    # Only products that sell little come and go, so that the concentration stays as planted.
    if int(points) <= 20 and number % 3 == 0:
        added_on = dice.pick(ADDED)
    elif int(points) <= 20 and number % 4 == 0:
        discontinued_on = dice.pick(DISCONTINUED)
    return Product(
        number=number,
        name=name,
        category=category,
        price=price,
        old_price=old_price,
        cost=old_price * dice.between(45, 70) // 100,
        attributes=json.dumps(_attributes(dice, category, name, old_price), sort_keys=True),
        added_on=added_on,
        discontinued_on=discontinued_on,
        demand=int(points) * 10**6 // old_price,
    )


def _attributes(dice: Dice, category: str, name: str, price: int) -> dict[str, object]:
    """What a product is like: some keys for all products, some for its category only."""
    own_brand = [brand for brand in BRANDS[category] if brand in name]
    tags = list(TAGS[category])
    dice.shuffle(tags)
    common: dict[str, object] = {
        "brand": own_brand[0] if own_brand else dice.pick(BRANDS[category]),
        "weight_g": dice.between(5, 60) * (10 + price // 400),
        "tags": sorted(tags[: dice.between(1, 3)]),
    }
    if category != "Books":
        common["colour"] = dice.pick(COLOURS)
    return common | _special(dice, category)


def _special(dice: Dice, category: str) -> dict[str, object]:
    match category:
        case "Electronics":
            return {"warranty_months": dice.pick((12, 24, 36)), "ports": {"usb_c": dice.below(3)}}
        case "Books":
            return {"pages": dice.between(90, 620), "language": dice.pick(("en", "uk", "de"))}
        case "Home":
            size = {"width": dice.between(20, 160), "depth": dice.between(10, 90)}
            return {"size_cm": size}
        case "Beauty":
            return {"volume_ml": dice.pick((50, 100, 200, 250)), "vegan": dice.chance(60)}
        case "Toys":
            return {"min_age": dice.pick((0, 3, 6, 8))}
        case "Kitchen":
            return {"dishwasher_safe": dice.chance(50)}
        case _:
            return {"size": dice.pick(("S", "M", "L", "one size"))}
