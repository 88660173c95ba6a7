-- Foreign keys and indexes of the shop, made after its rows are in place.

ALTER TABLE orders
    ADD FOREIGN KEY (customer_id) REFERENCES customers;
ALTER TABLE order_items
    ADD FOREIGN KEY (order_id) REFERENCES orders,
    ADD FOREIGN KEY (product_id) REFERENCES products;
ALTER TABLE web_events
    ADD FOREIGN KEY (customer_id) REFERENCES customers,
    ADD FOREIGN KEY (product_id) REFERENCES products,
    ADD FOREIGN KEY (order_id) REFERENCES orders;

CREATE INDEX customers_registration_date_idx ON customers (registration_date);
CREATE INDEX products_category_idx ON products (category);
CREATE INDEX orders_customer_id_idx ON orders (customer_id, ordered_at);
CREATE INDEX orders_ordered_at_idx ON orders (ordered_at);
CREATE INDEX order_items_product_id_idx ON order_items (product_id);
CREATE INDEX web_events_customer_id_idx ON web_events (customer_id, occurred_at);
CREATE INDEX web_events_session_id_idx ON web_events (session_id);
CREATE INDEX web_events_product_id_idx ON web_events (product_id);
CREATE INDEX web_events_order_id_idx ON web_events (order_id) WHERE order_id IS NOT NULL;
CREATE INDEX web_events_occurred_at_idx ON web_events (occurred_at);
