"""An extension of Griffe, which reads the docstrings for the reference."""

import re
from typing import Any

import griffe

EXAMPLE = re.compile(r"^(>>> .*(?:\n(?:>>>|\.\.\.) .*)*)$", re.MULTILINE)


class Examples(griffe.Extension):
    """Examples behind `>>>` are blocks of code also where no heading stands above them."""

    def on_object(self, *, obj: griffe.Object, **arguments: Any) -> None:  # noqa: D102
        if obj.docstring:
            obj.docstring.value = EXAMPLE.sub(r"```pycon\n\1\n```", obj.docstring.value)
