"""The page that hands tokens over to another issuer."""
