"""The schemas: how models look from outside."""
