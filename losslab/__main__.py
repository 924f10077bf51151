"""`python -m losslab` is the command line."""

import sys

from losslab.cli import main

if __name__ == "__main__":
    sys.exit(main())
