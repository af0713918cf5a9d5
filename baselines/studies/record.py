"""What a study writes about itself: the content of study.json, by which it is recognised when it goes on."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from baselines.disk.schema import Lines, Plain, as_tuples, check_fields, load_json, save_json
from baselines.disk.writing import check_links
from baselines.runs.directory import describe_machine
from jaxdilemmas.arguments import require

FILE = "study.json"


@dataclasses.dataclass(frozen=True)
class StudyRecord:
    """What was studied.

    Attributes:
      training: what must be the same for all that is in the directory.
      options: of the last command.
      about: on which device and versions.
    """

    training: Plain
    options: Plain = dataclasses.field(default_factory=dict)
    about: Lines = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        check_fields(self)


def write_record(output: Path, training: dict[str, Any], options: Any) -> None:
    """Writes study.json into the directory of a study, which is made if need be."""
    plain = json.loads(json.dumps(dataclasses.asdict(options), default=str))
    save_json(output / FILE, StudyRecord(training, plain, describe_machine()))


def read_training(output: Path) -> dict[str, Any]:
    """What study.json says of what is in the directory of a study; empty if there is no such directory.

    Raises:
      ValueError: the directory holds no study, study.json is not as it was written, or a symbolic link leads out of the
        directory.
    """
    if not output.exists():
        return {}
    require((output / FILE).is_file(), "output", str(output), "a new directory, or one with a study")
    check_links(output)
    return load_json(output / FILE, StudyRecord).training


def as_stored(training: dict[str, Any]) -> dict[str, Any]:
    """As it is read from study.json again."""
    found: dict[str, Any] = as_tuples(json.loads(json.dumps(training)))
    return found
