"""The schemas: which fields of the models an answer has."""
