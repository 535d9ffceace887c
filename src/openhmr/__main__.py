"""``python -m openhmr`` is the command ``openhmr``."""

import sys

from openhmr.cli import main

sys.exit(main())
