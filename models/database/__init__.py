"""The database: connections, transactions, prepared statements, migrations."""
