"""Rate limits: how many requests an address and a token may send in a minute."""
