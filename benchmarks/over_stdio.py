"""A server over its own stdin and stdout, as a client has it."""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks import processes
from benchmarks.answers import HELLO, READY, Flood, ids, request, result, short, text_of
from benchmarks.processes import FailedError

_CHUNK: Final = 1 << 20
_WAIT: Final = 60.0


class Stdio:
    """A server over stdio."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], folder: Path) -> None:
        self._errors = (folder / "stderr.txt").open("w+b")
        try:
            self._process = processes.start(
                command, folder, env, given=subprocess.PIPE, said=subprocess.PIPE, errors=self._errors
            )
        except OSError:
            self._errors.close()
            raise
        assert self._process.stdin
        assert self._process.stdout
        self.pid = self._process.pid
        self.version = ""
        self._to, self._from = self._process.stdin.fileno(), self._process.stdout.fileno()
        self._came = b""
        self._number = 0

    def open(self) -> dict[str, Any]:
        """Say hello and ask for the tools: the answer."""
        said = result(self._ask("initialize", HELLO)).get("serverInfo", {})
        self.version = str(said.get("version", ""))
        self._send(READY)
        return result(self._ask("tools/list", {}))

    def call(self, tool: str, arguments: Mapping[str, Any]) -> bytes:
        return self._ask("tools/call", {"name": tool, "arguments": arguments})

    def flood(self, tool: str, arguments: Mapping[str, Any], at_once: int, count: int) -> Flood:
        params = {"name": tool, "arguments": arguments}
        first = self._number + 1
        lines = [request(self._next(), "tools/call", params) for _ in range(count)]
        answers: list[bytes] = []
        began, sent = time.perf_counter(), 0
        while len(answers) < count:
            new = min(count, len(answers) + at_once) - sent
            if new > 0:
                self._send(b"\n".join(lines[sent : sent + new]))
                sent += new
            while b"\n" not in self._came:
                self._came += self._read()
            *whole, self._came = self._came.split(b"\n")
            answers += [line for line in whole if b'"id"' in line]
        seconds = time.perf_counter() - began
        if ids(answers) != [*range(first, first + count)]:
            raise FailedError("what was answered is not what was asked")
        return Flood(seconds, answers)

    def held_back(self, quick: str, slow: str, arguments: Mapping[str, Any]) -> float:
        late, number, took = self._next(), self._next(), 0.0
        self._send(request(late, "tools/call", {"name": slow, "arguments": arguments}))
        began = time.perf_counter()
        self._send(request(number, "tools/call", {"name": quick, "arguments": {}}))
        waiting = {late, number}
        while waiting:
            answer = self._line()
            now = time.perf_counter()
            which = json.loads(answer).get("id")
            if which in waiting:
                self.text(answer)
                took = now - began if which == number else took
                waiting.remove(which)
        return took

    def text(self, answer: bytes) -> str:
        return text_of(answer)

    def close(self) -> None:
        processes.end(self._process, asked=True)
        self._errors.close()

    def _ask(self, method: str, params: Mapping[str, Any]) -> bytes:
        self._send(request(self._next(), method, params))
        while True:
            line = self._line()
            # a server may tell of changes in between
            if b'"id"' in line:
                return line

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _send(self, line: bytes) -> None:
        line += b"\n"
        while line:
            line = line[os.write(self._to, line) :]

    def _line(self) -> bytes:
        while b"\n" not in self._came:
            self._came += self._read()
        line, _, self._came = self._came.partition(b"\n")
        return line

    def _read(self) -> bytes:
        if not select.select([self._from], [], [], _WAIT)[0]:
            raise FailedError(f"there was no answer for {_WAIT:.0f} s")
        data = os.read(self._from, _CHUNK)
        if not data:
            self._errors.seek(0)
            raise FailedError(f"the server has ended: {short(self._errors.read()[-300:])}")
        return data
