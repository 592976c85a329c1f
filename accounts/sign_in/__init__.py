"""Sign-up, sign-in, second factors, and changes of password and address."""
