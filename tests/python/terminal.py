"""A terminal that a program under test writes to."""

import os
import pty
from contextlib import contextmanager


class Terminal:
    def __init__(self):
        self._ours, self._programs = pty.openpty()
        self.text = b""

    def end_for_program(self):
        return self._programs

    def close_programs_end(self):
        """Once the program runs: then its end is the terminal's."""
        os.close(self._programs)

    def read_until(self, words):
        while words not in self.text:
            self.text += os.read(self._ours, 4096)

    def read_rest(self):
        try:
            while part := os.read(self._ours, 4096):
                self.text += part
        except OSError:
            pass  # the program has ended

    def close(self):
        os.close(self._ours)


@contextmanager
def terminal():
    made = Terminal()
    try:
        yield made
    finally:
        made.close()
