"""The hooks of MkDocs: the site has the same pages as a code host, so no text stands twice.

- Pages outside of docs/, such as README.md, are pages of the site as well, and links lead to where pages are there.
- Every page of a game opens with replays in place of the picture.
- Every tutorial is a notebook as well.
- Each module of `MODULES` has a page with its docstrings.
"""

import posixpath
import re
import sys
from functools import partial
from pathlib import Path
from textwrap import indent

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from jaxdilemmas.rendering.replay import fill_page  # noqa: E402
from tests.docs.game_pages import read_cells  # noqa: E402
from tests.docs.notebooks import notebook_of  # noqa: E402

MOVED = {
    "README.md": "index.md",
    "docs/README.md": "pages.md",
    "baselines/README.md": "baselines.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "LICENSE": "LICENSE.txt",
    "CITATION.cff": "CITATION.cff",
}
"""Files of the repository, and where they are in the site; other files of docs/ keep their path."""

MODULES = (
    *("environment", "registration", "spaces", "wrappers", "preferences", "bonuses", "metrics", "graphs", "policies"),
    *("rendering", "testing"),
)
PLAYING = ("core.players", "core.replays", "trained.load", "demonstrations", "presets")
ANALYSIS = ("arrays", "dilemmas", "events", "figures", "intervals", "metagame", "successors", "tables", "teams")
REFERENCE = {
    "jaxdilemmas": [f"jaxdilemmas.{name}" for name in MODULES],
    "baselines": [f"baselines.{name}" for name in (*PLAYING, *(f"analysis.{name}" for name in ANALYSIS))],
}
"""The modules of the reference."""

LINK = re.compile(r"\[([^\[\]]*)\]\((?!https?:|mailto:|#)([^)#\s]+)(#[^)\s]*)?\)")
FENCED = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
IN_LIST = re.compile(r"^ {2,3}(?=\S)", re.MULTILINE)
TITLE = re.compile(r"^# .*$", re.MULTILINE)
PICTURE = re.compile(r"^!\[.*\)$", re.MULTILINE)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Adds the reference to the navigation."""
    sections = [{package: [{name: page_of(name)} for name in names]} for package, names in REFERENCE.items()]
    config.nav = [*(config.nav or []), {"Reference": sections}]
    return config


def page_of(module: str) -> str:
    """The page of the reference of a module."""
    return f"reference/{module}.md"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that are not in docs/, and makes pages of replays."""
    files.remove(files.src_uris["README.md"])
    for source, target in MOVED.items():
        files.append(File.generated(config, target, content=(ROOT / source).read_text(encoding="utf-8")))
    for path in sorted((ROOT / "docs/replays").glob("*.replay")):
        files.remove(files.src_uris[f"replays/{path.name}"])
        page = fill_page(path.stem, path.read_text(encoding="utf-8"))
        files.append(File.generated(config, f"replays/{path.stem}.html", content=page))
    for path in sorted((ROOT / "docs/tutorials").glob("*.md")):
        lead_whole = partial(lead_out, source=f"docs/tutorials/{path.name}", site=config.site_url or "")
        notebook = notebook_of(LINK.sub(lead_whole, path.read_text(encoding="utf-8")))
        files.append(File.generated(config, f"tutorials/{path.stem}.ipynb", content=notebook))
    for name in [name for names in REFERENCE.values() for name in names]:
        files.append(File.generated(config, page_of(name), content=f"::: {name}\n"))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Leads links to where files are in the site, and puts replays onto the pages of games."""
    target = page.file.src_uri
    source = next((old for old, new in MOVED.items() if new == target), f"docs/{target}")
    games = read_cells(ROOT / source) if (ROOT / source).exists() else {}
    if games:
        markdown = PICTURE.sub(replays(list(games)), markdown, count=1)
    if target.startswith("tutorials/"):
        notebook = f"This page is also [a notebook]({Path(target).stem}.ipynb), which runs in the root of a checkout."
        markdown = TITLE.sub(rf"\g<0>\n\n{notebook}", markdown, count=1)
    parts = FENCED.split(markdown)  # prose and blocks of code by turns
    for i in range(0, len(parts), 2):
        prose = IN_LIST.sub("    ", parts[i])  # MkDocs wants 4 spaces before what belongs to an entry of a list
        parts[i] = LINK.sub(lambda link: lead(link, source, target, files), prose)
    return "".join(parts)


def lead(link: re.Match[str], source: str, target: str, files: Files) -> str:
    """A link of a file of the repository, from the page of the file; without an address if the site lacks the end."""
    words, address, heading = link.groups()
    linked = posixpath.normpath(posixpath.join(posixpath.dirname(source), address))
    there = MOVED.get(linked, linked.removeprefix("docs/"))
    if there not in files.src_uris:
        return words if (ROOT / linked).is_dir() else link[0]  # strict mode reports what exists nowhere
    return f"[{words}]({posixpath.relpath(there, posixpath.dirname(target) or '.')}{heading or ''})"


def lead_out(link: re.Match[str], source: str, site: str) -> str:
    """A link of a file of the repository that leads to the site from anywhere."""
    words, address, heading = link.groups()
    linked = posixpath.normpath(posixpath.join(posixpath.dirname(source), address))
    there = MOVED.get(linked, linked.removeprefix("docs/"))
    return f"[{words}]({site}{re.sub('[.]md$', '.html', there)}{heading or ''})"


def replays(games: list[str]) -> str:
    """The replays of games in Markdown: one below the other, or in tabs."""
    frames = [
        f'<iframe class="replay" src="replays/{env_id}.html" title="{env_id}, played by several policies" '
        f'loading="lazy" sandbox="allow-scripts"></iframe>\n\n[Open this replay alone](replays/{env_id}.html)'
        for env_id in games
    ]
    if len(frames) == 1:
        return frames[0]
    tabs = [f'=== "{env_id}"\n\n{indent(frame, "    ")}\n' for env_id, frame in zip(games, frames, strict=True)]
    return "\n".join(tabs)
