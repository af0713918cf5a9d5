"""Demonstrations: recorded, written, loaded, checked and sampled.

docs/demonstrations.md has the format; `python -m baselines.demonstrate` is the command that records.
"""

from baselines.demonstrations.collecting import play_blocks, record
from baselines.demonstrations.files import Writer, load, load_header, save
from baselines.demonstrations.gems_recording import import_gems
from baselines.demonstrations.headers import Header, describe
from baselines.demonstrations.records import Demonstrations
from baselines.demonstrations.sampling import check_fits, join, split, subsample

__all__ = [
    "Demonstrations",
    "Header",
    "Writer",
    "check_fits",
    "describe",
    "import_gems",
    "join",
    "load",
    "load_header",
    "play_blocks",
    "record",
    "save",
    "split",
    "subsample",
]
