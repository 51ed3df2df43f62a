"""``python -m neural_style`` is ``neural-style``."""

import sys

from .cli.main import main

sys.exit(main())
