"""The warehouse: a DuckDB file in which every asset is a table and every partition a slice of it.

`io_manager` is the only module that needs Dagster; reading a warehouse does not.
"""
