"""The pages of the people who play a session: who sits where, what each page has seen, and the clock."""

import asyncio
import contextlib
import json
import time
from collections import deque
from typing import Any

import numpy as np
from starlette.websockets import WebSocket, WebSocketDisconnect

from baselines.playing import messages
from baselines.playing.keyboard import Keyboard
from baselines.playing.session import Session

MOST_A_SECOND = 100
"""Messages that one page may send; what is beyond is answered and dropped."""

IDLE_SECONDS = 0.02
"""How often the clock looks whether there is something to do."""

IN_USE, UNKNOWN_SEAT = 4409, 4404
"""Codes with which the connection of a page is closed."""


class Tab:
    """The page of one person.

    Args:
      socket: the connection.
      seat: whom the person plays.
    """

    def __init__(self, socket: WebSocket, seat: int) -> None:
        self.socket, self.seat = socket, seat
        self.marks: np.ndarray | None = None
        self.is_behind = asyncio.Event()
        self._times: deque[float] = deque(maxlen=MOST_A_SECOND)

    def is_too_fast(self) -> bool:
        """Whether this message is one too many in a second."""
        now = time.monotonic()
        if len(self._times) == MOST_A_SECOND and now - self._times[0] < 1:
            return True
        self._times.append(now)
        return False

    async def send(self, message: dict[str, Any]) -> None:
        """Sends an object as JSON; that the page is gone is seen by who waits for its messages."""
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            await self.socket.send_text(json.dumps(message, separators=(",", ":")))


class Room:
    """A session with the pages that show it.

    A page that reads slowly gets fewer frames, and delays nobody: each frame holds what changed since the one that this
    page got last.

    Args:
      session: what is played; it is compiled here.
      keyboard: of its game.
      title: what the pages show above.

    Attributes:
      tabs: by seat.
      num_errors: messages that were refused.
    """

    def __init__(self, session: Session, keyboard: Keyboard, title: str) -> None:
        self.session, self.keyboard, self.title = session, keyboard, title
        self.tabs: dict[int, Tab] = {}
        self.num_errors = 0
        session.compile()
        self._moment = session.moments[-1]
        self.scene = messages.look_at(session)

    async def welcome(self, socket: WebSocket, seat_text: str) -> None:
        """Serves the page of a person from its first message to its last.

        Args:
          socket: the connection, which is accepted here.
          seat_text: the agent that the person wants to play, as the address says it.
        """
        await socket.accept()
        seats = {str(seat): seat for seat in self.session.seats}
        seat = seats.get(seat_text)
        if seat is None:
            await self._turn_away(socket, f"agent {seat_text[:20]!r}: people play {', '.join(seats)}", UNKNOWN_SEAT)
        elif seat in self.tabs:
            await self._turn_away(socket, f"agent {seat} is played in another tab already", IN_USE)
        else:
            await self._serve(Tab(socket, seat))

    async def run_clock(self) -> None:
        """In real time, plays steps at the rate of the session."""
        due = time.monotonic()
        while True:
            await asyncio.sleep(IDLE_SECONDS if not self.session.rate else max(0.001, due - time.monotonic()))
            now = time.monotonic()
            if self.session.rate and now >= due:
                due = max(due + 1 / self.session.rate, now)
                if self.session.is_due:
                    await self._tick()

    async def _turn_away(self, socket: WebSocket, reason: str, code: int) -> None:
        self.num_errors += 1
        await socket.send_text(json.dumps(messages.error(reason)))
        await socket.close(code, reason[:100])

    async def _serve(self, tab: Tab) -> None:
        self.tabs[tab.seat] = tab
        self.session.present.add(tab.seat)
        sending = asyncio.create_task(self._send_frames(tab))
        try:
            with contextlib.suppress(WebSocketDisconnect):
                while True:
                    await self._receive(tab)
        finally:
            sending.cancel()
            del self.tabs[tab.seat]
            self.session.leave(tab.seat)
            await self._go_on()

    async def _send_frames(self, tab: Tab) -> None:
        """Greets the page, and sends frames for as long as it is there."""
        await tab.send(messages.hello(self.session, tab.seat, self.keyboard, self.title))
        self._refresh()
        while True:
            await tab.is_behind.wait()
            tab.is_behind.clear()
            message = messages.frame(self.scene, self.session, tab.seat, tab.marks)
            tab.marks = self.scene.marks
            await tab.send(message)

    async def _receive(self, tab: Tab) -> None:
        """Waits for a message and does what it says, or answers why not.

        Raises:
          WebSocketDisconnect: the page is gone.
        """
        event = await tab.socket.receive()
        if event["type"] == "websocket.disconnect":
            raise WebSocketDisconnect
        try:
            if tab.is_too_fast():
                raise ValueError(f"too fast: more than {MOST_A_SECOND} messages a second; this one is dropped")
            said = self._obey(tab, *messages.parse(event.get("text")))
        except (ValueError, OSError) as error:
            self.num_errors += 1
            await tab.send(messages.error(error))
            return
        if said:
            await tab.send({"type": "said", "message": said})
        await self._go_on()

    def _obey(self, tab: Tab, kind: str, number: int) -> str:
        """Does what a page asks for; returns what it is told, if anything."""
        session = self.session
        if kind == "act":
            session.act(tab.seat, number)
        elif kind == "back":
            session.back(number)
        elif kind == "pause":
            session.is_paused = bool(number)
        elif kind == "pace":
            session.rate = number
        elif kind == "restart":
            session.restart()
        else:
            return session.save()
        return ""

    async def _go_on(self) -> None:
        """Plays the next step if it is the turn of nobody, and shows what there is."""
        if self.session.is_due and not self.session.rate:
            await self._tick()
        else:
            self._refresh()

    async def _tick(self) -> None:
        try:
            self.session.tick()
        except OSError as error:  # the episode cannot be written; people can play on
            self.num_errors += 1
            for tab in list(self.tabs.values()):
                await tab.send(messages.error(f"the episode is not kept: {error}"))
        self._refresh()

    def _refresh(self) -> None:
        """Looks at the session, and has all pages shown it."""
        if self._moment is not self.session.moments[-1]:
            self._moment = self.session.moments[-1]
            self.scene = messages.look_at(self.session)
        for tab in self.tabs.values():
            tab.is_behind.set()
