"""Makes the tests of this folder importable from each other: they share texts."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
