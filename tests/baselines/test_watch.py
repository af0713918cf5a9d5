"""The command that makes pages to watch: of runs, scripted players, teams and demonstrations."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from baselines import demonstrate, watch
from baselines.runs.directory import RunDirectory
from baselines.trained.load import find_game
from tests.rendering.test_replay import data_in

pytestmark = pytest.mark.usefixtures("quick_compiling", "fake_is_an_algorithm")

POOL = ["--env", "common_pool", "--env-kwargs", "max_steps=20"]


def pages(path: Path) -> Any:
    return data_in(path.read_text())


@pytest.mark.slow
def test_scripted_players_stand_side_by_side_under_the_same_draws(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    gathering = ["--env", "gathering", "--env-kwargs", "max_steps=12"]
    watch.main(["greedy", "random", "greedy", *gathering, "--output", str(path), "--seed", "3"])
    greedy, random, again = pages(path)
    assert [it["title"] for it in (greedy, random, again)] == ["greedy", "random", "greedy"]
    assert greedy["first"] == random["first"]
    assert greedy["changes"] == again["changes"] != random["changes"]


def test_a_team_has_a_player_for_each_agent(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    watch.main(["cooperative,exploitative,cooperative,exploitative", *POOL, "--output", str(path)])
    (team,) = pages(path)
    for seat, name in enumerate(("cooperative", "exploitative")):
        watch.main([name, *POOL, "--output", str(path)])
        (alone,) = pages(path)
        first_actions = [team["actions"][0][i] for i in (seat, seat + 2)]
        assert first_actions == [alone["actions"][0][i] for i in (seat, seat + 2)]
    assert len(set(team["actions"][0])) == 2  # who cooperates waits, who exploits takes


def test_a_run_is_watched_in_its_own_game_and_its_directory(
    trained: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    watch.main([str(trained.path)])
    (run,) = pages(trained.path / "replay.html")
    assert run["picture"]["num_agents"] == 2
    assert f"open {trained.path / 'replay.html'} in a browser" in capsys.readouterr().out


def test_demonstrations_with_states_are_watched(tmp_path: Path) -> None:
    demos, path = tmp_path / "some.demos", tmp_path / "page.html"
    options = ["--policy", "cooperative", "--episodes", "2", *POOL, "--output", str(demos)]
    demonstrate.main([*options, "--with-states"])
    watch.main([str(demos), "--episode", "1", "--output", str(path)])
    (recorded,) = pages(path)
    assert recorded["title"] == "some.demos, episode 1: cooperative"
    watch.main(["cooperative", *POOL, "--output", str(path)])
    (played,) = pages(path)
    assert recorded["levels"] == played["levels"][:-1]  # the pool is without chance
    assert np.allclose(recorded["returns"], played["returns"][:-1])


def test_a_file_names_the_game_by_its_header_alone(tmp_path: Path) -> None:
    demos, cut = tmp_path / "some.demos", tmp_path / "cut.demos"
    demonstrate.main(["--policy", "cooperative", "--episodes", "1", *POOL, "--output", str(demos)])
    content = demos.read_bytes()
    cut.write_bytes(content[: content.index(b"DATA")])
    assert find_game([str(cut)], None, {"num_agents": 3}) == ("common_pool", {"max_steps": 20, "num_agents": 3})
    cut.write_bytes(content[:30])
    with pytest.raises(ValueError, match=r"cut\.demos is not a file of demonstrations, or cut off in its header"):
        find_game([str(cut)], None, {})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["greedy"], "greedy is neither a run nor a file of demonstrations"),
        (["nobody", *POOL], "nobody"),
        (["random,random", *POOL], "players=2 is not allowed: one player, or one for each of 4 agents"),
        (["random"] * 5 + POOL, "one to 4"),
        (["random", "--env", "tests.probes:Probe"], "a game with a picture_module"),
        (["random", "--env", "nowhere"], "nowhere"),
        (["random", *POOL, "--seed", "-1"], "seed=-1"),
        (["random", *POOL, "--output", "."], "output='.' is not allowed: a file"),
        (
            ["random", "--env", "common_pool", "--env-kwargs", "max_steps=1000000000"],
            "max_steps=1000000000 is not allowed",
        ),
    ],
)
def test_wrong_options_are_named(options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_info:
        watch.main(options)
    assert message in f"{exit_info.value.code} {capsys.readouterr().err}"


def test_demonstrations_without_states_or_cut_off_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    demos = tmp_path / "some.demos"
    demonstrate.main(["--policy", "random", "--episodes", "1", *POOL, "--output", str(demos)])
    for change, message in ((None, "record with --with-states"), (demos, "cut off")):
        if change:
            demos.write_bytes(demos.read_bytes()[:-40])
        with pytest.raises(SystemExit) as exit_info:
            watch.main([str(demos)])
        assert message in f"{exit_info.value.code} {capsys.readouterr().err}"


def test_a_game_that_a_file_names_is_not_imported(
    trained: RunDirectory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = json.loads(trained.config.read_text())
    del record["sha256"]
    (tmp_path / "run").mkdir()
    marker = tmp_path / "ran"
    record["env_id"], record["env_kwargs"] = "os:system", {"command": f"touch {marker}"}
    (tmp_path / "run" / "config.json").write_text(json.dumps(record))
    with pytest.raises(SystemExit) as exit_info:
        watch.main([str(tmp_path / "run")])
    message = f"{exit_info.value.code} {capsys.readouterr().err}"
    assert f"{tmp_path / 'run'}: env_id='os:system' is not allowed" in message
    assert not marker.exists()
