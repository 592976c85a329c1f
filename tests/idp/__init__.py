"""Identity providers made by others, for the tests: npm's samlp and Debian's SimpleSAMLphp."""
