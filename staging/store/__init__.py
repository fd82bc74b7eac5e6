"""The cloud's persistent state: SQLAlchemy tables and the functions that read and change them.

Each function takes a session as its first argument and does the work of one transaction; none
depends on HTTP, CoAP or asyncio. `database.Database` runs them.
"""

# Their tables are part of the schema.
from staging.store import alarm_models, fleet_models, rollout_models
from staging.store.database import Database

__all__ = ["Database", "alarm_models", "fleet_models", "rollout_models"]
