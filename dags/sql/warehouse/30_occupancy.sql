-- How full the classes are, by day (on the location's clock), location and service.
CREATE TABLE IF NOT EXISTS altegio_occupancy (
    day DATE,
    location_id BIGINT,
    service_id BIGINT,
    service_title TEXT,
    classes BIGINT,
    seats BIGINT,
    booked_seats BIGINT,
    occupancy DOUBLE PRECISION
);

DELETE FROM altegio_occupancy;

INSERT INTO altegio_occupancy
SELECT day, location_id, service_id, max(service_title), count(*), sum(capacity), sum(booked_seats),
    CAST(sum(booked_seats) AS DOUBLE PRECISION) / NULLIF(sum(capacity), 0)
FROM altegio_current
GROUP BY day, location_id, service_id;
