"""The relay's store on PostgreSQL, for several relays that are one to their users. Needs asyncpg."""
