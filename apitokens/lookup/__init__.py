"""Looking up a token that was found somewhere: whose it is, told to who may know."""
