"""What plugs into connexion and Flask: security, validation, authorization, handlers."""
