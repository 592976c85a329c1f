"""A Django project of the least that each peer needs: no middleware, its own table, one view."""
