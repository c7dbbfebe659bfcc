SELECT location_id, id
FROM altegio_activities
WHERE capacity < 0 OR booked_seats < 0 OR records_count < 0
UNION ALL
SELECT location_id, service_id
FROM altegio_occupancy
WHERE seats < 0 OR booked_seats < 0
