"""How a version reaches machines a part at a time, and when that goes on or stops. No I/O: `staging.store` has the rows."""
