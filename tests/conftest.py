import sys
from pathlib import Path

# What several test modules compare with stands beside them.
sys.path.insert(0, str(Path(__file__).parent))


def pytest_configure(config):
    config.golden_notes = []


def pytest_terminal_summary(terminalreporter, config):
    if config.golden_notes:
        terminalreporter.section("golden runs")
        for note in config.golden_notes:
            terminalreporter.write_line(note)
