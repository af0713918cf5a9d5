"""Overcooked in plain Python, from the written rules: a kitchen of text, (x, y) cells and things as tuples."""

import dataclasses
from collections.abc import Sequence
from typing import Any

MOVES = [(0, -1), (0, 1), (1, 0), (-1, 0)]
"""(x, y) of actions 0 to 3; 4 stays, 5 interacts."""

FULL = ("soup", 3)


@dataclasses.dataclass
class Cook:
    """A player: where it stands, which way it faces, and what it holds: None, ("onion",), ("dish",) or ("soup", n)."""

    cell: tuple[int, int]
    facing: tuple[int, int] = (0, -1)
    holds: Any = None


class Overcooked:
    """The kitchen, its cooks, what lies on counters by cell, and pots by cell as [onions, tick or None]."""

    def __init__(self, text: str, num_agents: int = 2, delivery_reward: float = 20.0, cook_steps: int = 20) -> None:
        self.rows = text.strip("\n").split("\n")
        self.delivery_reward, self.cook_steps = delivery_reward, cook_steps
        self.cells = {(x, y): symbol for y, row in enumerate(self.rows) for x, symbol in enumerate(row)}
        self.cooks = [Cook(self.where(str(player + 1))[0]) for player in range(num_agents)]
        self.cells = {cell: " " if symbol.isdigit() else symbol for cell, symbol in self.cells.items()}
        self.lying: dict[tuple[int, int], Any] = {}
        self.pots: dict[tuple[int, int], list[Any]] = {cell: [0, None] for cell in self.where("P")}

    def where(self, symbol: str) -> list[tuple[int, int]]:
        """The cells with a symbol, row by row."""
        return [cell for cell, known in self.cells.items() if known == symbol]

    def step(self, actions: Sequence[int]) -> tuple[float, list[dict[str, int]]]:
        """Plays one step; returns the reward of each player and what each did."""
        in_use = sum(tick is not None or onions in (1, 2) for onions, tick in self.pots.values())
        happened = []
        for cook, action in zip(self.cooks, actions, strict=True):
            is_useful = self.needs_dish(in_use)
            event = self.interact(cook) if action == 5 else ""
            happened.append({event, "useful_dish_taken"} if event == "dish_taken" and is_useful else {event})
        self.move(actions)
        for pot in self.pots.values():
            if pot[1] is not None and pot[1] < self.cook_steps:
                pot[1] += 1
        names = [
            "onion_taken",
            "dish_taken",
            "useful_dish_taken",
            "potted",
            "cooking_started",
            "soup_taken",
            "delivered",
        ]
        info = [{name: int(name in events) for name in names} for events in happened]
        return self.delivery_reward * happened.count({"delivered"}), info

    def needs_dish(self, pots_in_use: int) -> bool:
        """Whether one more dish is of use."""
        return ("dish",) not in self.lying.values() and [c.holds for c in self.cooks].count(("dish",)) < pots_in_use

    def interact(self, cook: Cook) -> str:
        """One cook uses what it faces; the name of the event."""
        cell = (cook.cell[0] + cook.facing[0], cook.cell[1] + cook.facing[1])
        symbol = self.cells[cell]
        if symbol == "X" and (cook.holds is None) != (cell not in self.lying):
            cook.holds, left = self.lying.pop(cell, None), cook.holds
            if left:
                self.lying[cell] = left
        elif symbol in "OD" and cook.holds is None:
            cook.holds = ("onion",) if symbol == "O" else ("dish",)
            return f"{cook.holds[0]}_taken"
        elif symbol == "P":
            return self.use_pot(cook, self.pots[cell])
        elif symbol == "S" and cook.holds and cook.holds[0] == "soup":
            served, cook.holds = cook.holds, None
            return "delivered" if served == FULL else ""
        return ""

    def use_pot(self, cook: Cook, pot: list[Any]) -> str:
        """One cook uses a pot; the name of the event."""
        if cook.holds is None and pot[0] > 0 and pot[1] is None:
            pot[1] = 0
            return "cooking_started"
        if cook.holds == ("onion",) and pot[0] < 3 and pot[1] is None:
            pot[0], cook.holds = pot[0] + 1, None
            return "potted"
        if cook.holds == ("dish",) and pot[1] is not None and pot[1] >= self.cook_steps:
            cook.holds = ("soup", pot[0])
            pot[:] = [0, None]
            return "soup_taken"
        return ""

    def move(self, actions: Sequence[int]) -> None:
        """Everybody turns and goes, unless two would meet or change places."""
        before, after = [cook.cell for cook in self.cooks], []
        for cook, action in zip(self.cooks, actions, strict=True):
            target = cook.cell
            if action < 4:
                cook.facing = MOVES[action]
                target = (cook.cell[0] + cook.facing[0], cook.cell[1] + cook.facing[1])
            after.append(target if self.cells[target] == " " else cook.cell)
        pairs = [(i, j) for i in range(len(before)) for j in range(i)]
        collides = any(after[i] == after[j] or (after[i] == before[j] and after[j] == before[i]) for i, j in pairs)
        for cook, cell in zip(self.cooks, before if collides else after, strict=True):
            cook.cell = cell

    def observe(self) -> list[list[float]]:
        """What each cook sees."""
        static = [v for symbol in "ODSP" for cell in self.where(symbol) for v in cell]
        pots = []
        for onions, tick in self.pots.values():
            shown = (-1 if tick is None else tick) if onions else 0
            pots += [onions, shown, float(tick is not None and tick < self.cook_steps)]
        rows = []
        for player in range(len(self.cooks)):
            cooks = self.cooks[player:] + self.cooks[:player]
            hands = [float(bool(c.holds) and c.holds[0] == thing) for c in cooks for thing in ("onion", "dish", "soup")]
            places, facings = [v for c in cooks for v in c.cell], [v for c in cooks for v in c.facing]
            rows.append([*places, *hands, *static, *pots, *facings])
        return rows
