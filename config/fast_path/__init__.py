"""Answers verification and introspection in front of Django, where that needs no I/O.

An empty request costs Django several times what it takes to check a token. So what was looked up
less than `VERIFY_CACHE_SECONDS` ago is answered here, and so is a refusal without a look-up. All
others, and unusual ones, go to Django. Both word their answers by the same functions of
`apitokens.api`, and the tests compare them.
"""
