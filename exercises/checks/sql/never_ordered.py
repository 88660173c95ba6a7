"""Three customers of whom two never ordered, then the shop itself."""

from course.exercises import expect, require

TABLES = """
    CREATE TEMP TABLE customers (customer_id int, name text, registration_date date);
    CREATE TEMP TABLE orders (order_id int, customer_id int);
    INSERT INTO customers VALUES
        (1, 'Ann', '2025-03-01'), (2, 'Bob', '2025-01-01'), (3, 'Cem', '2025-02-01'),
        (4, 'Dia', '2025-01-01');
    INSERT INTO orders VALUES (10, 1), (11, 1), (12, NULL);
"""


def check_small(their):
    """Ann ordered twice; Bob, Dia and Cem never did"""
    rows = their.rows(TABLES)
    expect(their.columns, ["customer_id", "name"], "The columns, in this order.")
    require(
        rows,
        "no rows came back",
        "One order has no customer (NULL). NOT IN with a NULL in its list is never true: "
        "use NOT EXISTS, or a LEFT JOIN.",
    )
    expect(rows, [(2, "Bob"), (4, "Dia"), (3, "Cem")], "Those without orders, oldest first.")


def check_shop(their):
    """The shop's answer: 223 people"""
    expect(len(their.rows()), 223, "Count the rows; each customer stands there once.")
