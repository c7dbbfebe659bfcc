-- needs: altegio_appointments
-- Appointments that nobody has marked yet (waiting, confirmed) say nothing.
INSERT INTO altegio_no_show
SELECT c.day, c.location_id, c.service_id, count(*), sum(p.absent), CAST(sum(p.absent) AS DOUBLE PRECISION) / count(*)
FROM altegio_current AS c
JOIN (
    SELECT location_id, activity_id, CASE WHEN attendance = -1 THEN 1 ELSE 0 END AS absent
    FROM altegio_appointments
    WHERE attendance IN (-1, 1) AND NOT is_deleted
) AS p ON p.location_id = c.location_id AND p.activity_id = c.id
GROUP BY c.day, c.location_id, c.service_id;
