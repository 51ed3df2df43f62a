import sys
from pathlib import Path

# What several test modules compare with stands beside them.
sys.path.insert(0, str(Path(__file__).parent))
