"""What requests say: addresses, browsers, where to go next."""
