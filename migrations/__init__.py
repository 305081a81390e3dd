"""The schema's history, for alembic; `service/store/schema.py` runs it. Part of the package, so that an install can migrate."""
