"""The contract: the OpenAPI definition, read and checked, with the rules that it states."""
