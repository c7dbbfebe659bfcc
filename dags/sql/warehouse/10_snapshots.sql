-- What each extraction saw of each class, for the fill curve: loading a range again replaces its rows in
-- altegio_activities, and keeps them here.
CREATE TABLE IF NOT EXISTS altegio_snapshots (
    location_id BIGINT,
    id BIGINT,
    extracted_at TIMESTAMP WITH TIME ZONE,
    starts_at TIMESTAMP WITH TIME ZONE,
    service_id BIGINT,
    capacity BIGINT,
    booked_seats BIGINT
);

INSERT INTO altegio_snapshots
SELECT a.location_id, a.id, a.extracted_at, a.starts_at, a.service_id, a.capacity,
    COALESCE(a.booked_seats, a.records_count)
FROM altegio_activities AS a
WHERE a.id IS NOT NULL AND NOT a.is_deleted AND NOT EXISTS (
    SELECT 1 FROM altegio_snapshots AS s
    WHERE s.location_id = a.location_id AND s.id = a.id AND s.extracted_at = a.extracted_at
);
