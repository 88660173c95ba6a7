-- For each row that is asked about: what was known at that moment?
SELECT asked.n, {found}
FROM (SELECT * FROM asked ORDER BY entity_id, at) AS asked
LEFT JOIN LATERAL (
    SELECT event_time, created, {features}
    FROM {table} AS history
    WHERE history.entity_id = asked.entity_id
      AND history.event_time <= asked.at
      AND history.event_time >= coalesce(asked.at - %(ttl)s::interval, '-infinity')
      AND (history.created <= asked.at OR %(late_rows)s)
    ORDER BY history.event_time DESC, history.created DESC
    LIMIT 1
) AS found ON true
