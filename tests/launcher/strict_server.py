"""`python -m tests.launcher.strict_server PORT`: the standard library's WSGI server, and its
validator.

The validator stands between both and fails every answer in which either breaks a rule of PEP 3333.
"""

import sys
from wsgiref.simple_server import make_server
from wsgiref.validate import validator

from config.wsgi import application

if __name__ == "__main__":
    with make_server("127.0.0.1", int(sys.argv[1]), validator(application)) as server:
        server.serve_forever()
