-- Who booked and did not come, by day, location and service; empty until appointments are loaded.
CREATE TABLE IF NOT EXISTS altegio_no_show (
    day DATE,
    location_id BIGINT,
    service_id BIGINT,
    appointments BIGINT,
    absent BIGINT,
    no_show_rate DOUBLE PRECISION
);

DELETE FROM altegio_no_show;
