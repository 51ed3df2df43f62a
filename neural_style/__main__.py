"""``python -m neural_style`` is ``neural-style``."""

import sys

from .cli import main

sys.exit(main())
