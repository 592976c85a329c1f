"""Rate limits: exact ones in the shared cache, cheap ones in each process."""
