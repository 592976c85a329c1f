"""Scripts that a page always needs are served in one file, without what only authors read."""

from config.server.scripts import slim


def test_script_has_its_imports_in_it_each_with_its_own_names_and_no_comments() -> None:
    files = {
        "a.js": "/* A,\n   and more */\n\nconst page = 1;\n",
        "b.js": "const page = () => {\n    // Two\n    return '// 2'; // kept\n};\n",
    }
    whole = slim('/* All */\nimport "./a.js";\nimport "./b.js";\n', files.__getitem__)
    assert whole == (
        "{\nconst page = 1;\n}\n{\nconst page = () => {\nreturn '// 2'; // kept\n};\n}\n"
    )
