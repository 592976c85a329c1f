"""How pages look in one browser: their theme, and for strangers their language.

Both are cookies: they belong to the screen and not to the person, and hold for strangers too.
"""
