"""All scopes, as the definition's security scheme declares them."""

from roster.contract import loader

ALL_SCOPES = tuple(sorted(loader.load("production").scopes))
