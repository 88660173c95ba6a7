"""The recommendations API: what Module 8 taught, put together into a service.

Where to look for what, in the order in which to read it:

    service.py     the story of one answer: Redis → PostgreSQL → MongoDB → engine → Redis
    app.py         the routes, and how errors become answers
    answers.py     what the answers look like, for the code and for OpenAPI
    callers.py     API keys and the rate limit
    events.py      tell analytics in the background; what happens when the broker is down
    consumer.py    the process that stores what analytics is told, exactly once
    metrics.py     what Prometheus reads
    batching.py    GETs that travel together, for speed
    parts.py       what is built when the service starts
    settings.py    what is told from outside
    catalogue.py   the products on sale
    prepare.py     tables, documents, queues and the model: made before, removed after
    process.py     the service and the consumer as processes of their own
    visitor.py     the service as seen from outside, for the lesson and the tests
    cable.py       how the lesson and the tests take a neighbour away
    page/          the page for people

    python -m recommendations_api --help
"""
