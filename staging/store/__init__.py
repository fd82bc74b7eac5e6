"""What the cloud remembers: SQLAlchemy tables and the functions that read and change them.

Each function takes a session as its first argument and is one transaction's work; none knows of
HTTP, CoAP or asyncio. `database.Database` runs them.
"""

from staging.store.database import Database

__all__ = ["Database"]
