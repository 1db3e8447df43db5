"""``python -m ptywidgets``."""

import sys

from ptywidgets.cli import main

sys.exit(main())
