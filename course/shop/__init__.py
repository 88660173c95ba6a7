"""The shop: the course's data set, described in docs/DATASET.md.

    truths.py     what is planted: the answers that lessons and tests must find again
    dice.py       chance that falls alike everywhere
    seasons.py    when orders are placed
    people.py     who the customers are                 kind_of(customer_id)
    buyers.py     who buys in which month
    catalogue.py  what there is to buy                  products()
    baskets.py    what is bought                        outlier_order_ids(scale)
    visits.py     what visitors do on the site
    generate.py   all rows, as text for COPY            batches(scale), digest(scale)
    load.py       into PostgreSQL                       ensure_loaded, load, reset, fingerprint

Nothing is imported here, so that a lesson which finds the shop loaded starts fast.
"""
