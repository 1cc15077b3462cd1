"""The report: one page, made from the dbt marts, that works offline."""
