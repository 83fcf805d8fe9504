"""The handlers: one plain function per operation; the definition names them."""
