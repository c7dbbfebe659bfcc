-- Each class as it was seen last: one that was moved stands in the file of its old day too, marked as deleted once that
-- is extracted again. A row that is marked keeps the moment at which it was seen last, so the one at the new time wins.
-- Where the API counts bookings and not seats, a booking counts as one seat.
CREATE TEMPORARY TABLE altegio_current AS
SELECT *
FROM (
    SELECT DISTINCT ON (location_id, id)
        location_id, id, CAST(starts_at_local AS DATE) AS day, service_id, service_title, capacity,
        COALESCE(booked_seats, records_count) AS booked_seats, is_deleted
    FROM altegio_activities
    WHERE id IS NOT NULL AND starts_at IS NOT NULL
    ORDER BY location_id, id, extracted_at DESC, is_deleted
) AS latest
WHERE NOT is_deleted;
