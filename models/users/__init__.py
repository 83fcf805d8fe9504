"""Users: their accounts, names and passwords."""
