-- The shop: five tables about a small European web shop, and one that says what the course loaded.
-- Foreign keys and indexes stand in keys.sql: they are made after the rows, which is faster.
-- Money is in euros, times are in UTC, and "today" is 2025-10-26.

CREATE TABLE customers (
    customer_id       integer PRIMARY KEY,
    name              text    NOT NULL CHECK (name <> ''),
    email             text    NOT NULL UNIQUE CHECK (email LIKE '%@%'),
    phone             text,
    city              text    NOT NULL,
    country           text    NOT NULL,
    registration_date date    NOT NULL,
    ab_group          text    NOT NULL CHECK (ab_group IN ('A', 'B')),
    marketing_opt_in  boolean NOT NULL
);

CREATE TABLE products (
    product_id      integer        PRIMARY KEY,
    name            text           NOT NULL UNIQUE CHECK (name <> ''),
    category        text           NOT NULL,
    price           numeric(10, 2) NOT NULL CHECK (price > 0),
    cost            numeric(10, 2) NOT NULL CHECK (cost > 0),
    attributes      jsonb          NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(attributes) = 'object'),
    added_on        date           NOT NULL,
    discontinued_on date           CHECK (discontinued_on > added_on)
);

CREATE TABLE orders (
    order_id    integer        PRIMARY KEY,
    customer_id integer        NOT NULL,
    ordered_at  timestamptz    NOT NULL,
    status      text           NOT NULL CHECK (status IN ('completed', 'cancelled', 'refunded')),
    channel     text           NOT NULL CHECK (channel IN ('web', 'mobile', 'store')),
    total       numeric(12, 2) NOT NULL CHECK (total >= 0)
);

CREATE TABLE order_items (
    order_id    integer        NOT NULL,
    line_number smallint       NOT NULL CHECK (line_number > 0),
    product_id  integer        NOT NULL,
    quantity    integer        NOT NULL CHECK (quantity > 0),
    unit_price  numeric(10, 2) NOT NULL CHECK (unit_price > 0),
    PRIMARY KEY (order_id, line_number)
);

CREATE TABLE web_events (
    event_id    bigint      PRIMARY KEY,
    customer_id integer,
    session_id  integer     NOT NULL,
    event_type  text        NOT NULL CHECK (event_type IN ('view', 'cart', 'checkout', 'purchase')),
    product_id  integer,
    order_id    integer,
    occurred_at timestamptz NOT NULL,
    CHECK ((product_id IS NOT NULL) = (event_type IN ('view', 'cart'))),
    CHECK ((order_id IS NOT NULL) = (event_type = 'purchase')),
    CHECK (customer_id IS NOT NULL OR event_type IN ('view', 'cart'))
);

CREATE TABLE course_data (
    name        text        PRIMARY KEY,
    version     text        NOT NULL,
    scale       integer     NOT NULL CHECK (scale > 0),
    fingerprint text        NOT NULL,
    loaded_at   timestamptz NOT NULL DEFAULT now()
);

COMMENT ON TABLE customers IS 'People who registered with the shop; some of them never ordered.';
COMMENT ON COLUMN customers.customer_id IS 'Number of the customer, in the order of registration.';
COMMENT ON COLUMN customers.name IS 'First and last name; two people may share one.';
COMMENT ON COLUMN customers.email IS 'Unique address, always at example.com.';
COMMENT ON COLUMN customers.phone IS 'Telephone number, NULL when the customer gave none.';
COMMENT ON COLUMN customers.city IS 'City in English spelling.';
COMMENT ON COLUMN customers.country IS 'Country of the city, in English.';
COMMENT ON COLUMN customers.registration_date IS 'Day of registration; no order is older.';
COMMENT ON COLUMN customers.ab_group IS 'Group in the checkout experiment: A sees the old checkout, B the new one.';
COMMENT ON COLUMN customers.marketing_opt_in IS 'Whether the customer agreed to receive offers.';

COMMENT ON TABLE products IS 'What the shop sells or used to sell.';
COMMENT ON COLUMN products.product_id IS 'Number of the product.';
COMMENT ON COLUMN products.name IS 'Unique name.';
COMMENT ON COLUMN products.category IS 'One of eight categories.';
COMMENT ON COLUMN products.price IS 'Price in euros as of today; order_items.unit_price has the price that was paid.';
COMMENT ON COLUMN products.cost IS 'What one piece costs the shop, in euros.';
COMMENT ON COLUMN products.attributes IS 'Colour, brand, weight in grams (weight_g), tags and more, different from category to category.';
COMMENT ON COLUMN products.added_on IS 'First day on sale; no order item is older.';
COMMENT ON COLUMN products.discontinued_on IS 'First day on which it was no longer on sale, NULL while it is.';

COMMENT ON TABLE orders IS 'One row for each order of the last three years.';
COMMENT ON COLUMN orders.order_id IS 'Number of the order, in the order of time.';
COMMENT ON COLUMN orders.customer_id IS 'Who ordered.';
COMMENT ON COLUMN orders.ordered_at IS 'When the order was placed (UTC).';
COMMENT ON COLUMN orders.status IS 'completed, cancelled (before delivery) or refunded (after it).';
COMMENT ON COLUMN orders.channel IS 'Where it was placed: web, mobile or store.';
COMMENT ON COLUMN orders.total IS 'Sum of quantity * unit_price over the items, in euros.';

COMMENT ON TABLE order_items IS 'The lines of each order; a product stands in an order at most once.';
COMMENT ON COLUMN order_items.order_id IS 'The order.';
COMMENT ON COLUMN order_items.line_number IS 'Line within the order, from 1.';
COMMENT ON COLUMN order_items.product_id IS 'What was bought.';
COMMENT ON COLUMN order_items.quantity IS 'How many pieces.';
COMMENT ON COLUMN order_items.unit_price IS 'Price of one piece on the day of the order, in euros.';

COMMENT ON TABLE web_events IS 'What visitors did on the site and in the app in the last 180 days.';
COMMENT ON COLUMN web_events.event_id IS 'Number of the event, in the order of time.';
COMMENT ON COLUMN web_events.customer_id IS 'Who it was, NULL for a visitor who had not signed in.';
COMMENT ON COLUMN web_events.session_id IS 'The visit to which the event belongs.';
COMMENT ON COLUMN web_events.event_type IS 'Step of the funnel: view, cart, checkout or purchase.';
COMMENT ON COLUMN web_events.product_id IS 'The product that was viewed or put into the cart, else NULL.';
COMMENT ON COLUMN web_events.order_id IS 'The order that a purchase made, else NULL.';
COMMENT ON COLUMN web_events.occurred_at IS 'When it happened (UTC); a purchase happens when its order is placed.';

COMMENT ON TABLE course_data IS 'What the course loaded into this database; tables not named here are yours.';
COMMENT ON COLUMN course_data.name IS 'Name of the data set.';
COMMENT ON COLUMN course_data.version IS 'Which edition of the data set: the start of its SHA-256 at the default scale.';
COMMENT ON COLUMN course_data.scale IS 'Number of orders that were asked for.';
COMMENT ON COLUMN course_data.fingerprint IS 'Digest of all rows right after loading.';
COMMENT ON COLUMN course_data.loaded_at IS 'When it was loaded.';
