"""Real identity providers for the tests: npm's samlp and Debian's SimpleSAMLphp."""
