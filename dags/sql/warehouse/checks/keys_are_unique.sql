SELECT 'altegio_activities' AS found_in
FROM altegio_activities
WHERE id IS NOT NULL
GROUP BY location_id, id, extracted_at
HAVING count(*) > 1
UNION ALL
SELECT 'altegio_snapshots' FROM altegio_snapshots GROUP BY location_id, id, extracted_at HAVING count(*) > 1
UNION ALL
SELECT 'altegio_occupancy' FROM altegio_occupancy GROUP BY day, location_id, service_id HAVING count(*) > 1
UNION ALL
SELECT 'altegio_no_show' FROM altegio_no_show GROUP BY day, location_id, service_id HAVING count(*) > 1
UNION ALL
SELECT 'altegio_fill_curve' FROM altegio_fill_curve GROUP BY location_id, service_id, days_before HAVING count(*) > 1
