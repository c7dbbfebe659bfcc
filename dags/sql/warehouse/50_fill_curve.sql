-- How full classes are so many days before they start: of each class, what was seen last on each of these days. It
-- grows by extracts of ranges to come that run every day; one extract of each class gives one point of it.
CREATE TABLE IF NOT EXISTS altegio_fill_curve (
    location_id BIGINT,
    service_id BIGINT,
    days_before BIGINT,
    classes BIGINT,
    seats BIGINT,
    booked_seats BIGINT,
    fill DOUBLE PRECISION
);

DELETE FROM altegio_fill_curve;

INSERT INTO altegio_fill_curve
SELECT location_id, service_id, days_before, count(*), sum(capacity), sum(booked_seats),
    CAST(sum(booked_seats) AS DOUBLE PRECISION) / NULLIF(sum(capacity), 0)
FROM (
    SELECT DISTINCT ON (location_id, id, days_before) *
    FROM (
        SELECT *, CAST(floor((EXTRACT(EPOCH FROM starts_at) - EXTRACT(EPOCH FROM extracted_at)) / 86400) AS BIGINT)
            AS days_before
        FROM altegio_snapshots
        WHERE extracted_at <= starts_at
    ) AS seen
    ORDER BY location_id, id, days_before, extracted_at DESC
) AS last_of_the_day
GROUP BY location_id, service_id, days_before;
