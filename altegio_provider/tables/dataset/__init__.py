"""The Parquet dataset: windows, manifest, commit, and the stores that hold it."""
