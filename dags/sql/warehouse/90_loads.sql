-- Which files are in the warehouse, and of when: what an event named that Airflow forgot is loaded with the next one.
CREATE TABLE IF NOT EXISTS altegio_loads (
    path TEXT,
    written_at TEXT
);

DELETE FROM altegio_loads WHERE path IN (SELECT path FROM altegio_files);

INSERT INTO altegio_loads
SELECT path, written_at FROM altegio_files;
