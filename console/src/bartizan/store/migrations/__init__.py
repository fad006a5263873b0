"""Alembic migrations; they run when the Console opens its database."""
