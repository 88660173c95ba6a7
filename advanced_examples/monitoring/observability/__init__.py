"""An order pipeline that can be observed: metrics, logs, traces, alerts, and checks of its data.

    python -m observability                 the pipeline with steady traffic, on ports 9101 to 9103

    client → intake (HTTP, 9101) → RabbitMQ → worker (9102) → PostgreSQL → data checks (9103)

`metrics` names what is counted, `logs` and `tracing` set up the other two signals, `intake` and
`worker` use them. `quality` measures a batch of data, `page` shows it, `dashboard` writes
Grafana's file. `scrape` reads a /metrics page as Prometheus does.
"""
