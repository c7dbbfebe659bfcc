-- altegio_files: what the manifest says of the files that were loaded. Rows that do not say when they start are in no
-- range, and may be in any file.
SELECT f.location_id, f.range_start
FROM altegio_files AS f
LEFT JOIN altegio_activities AS a
    ON a.location_id = f.location_id AND a.starts_at >= f.range_start AND a.starts_at < f.range_end
GROUP BY f.location_id, f.range_start, f.file_rows
HAVING count(a.location_id) NOT BETWEEN f.file_rows - (
    SELECT count(*) FROM altegio_activities AS u WHERE u.location_id = f.location_id AND u.starts_at IS NULL
) AND f.file_rows
