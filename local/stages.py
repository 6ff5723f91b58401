"""Shows what runs and how long each stage took."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.table import Table


class Stages:
    """Prints a line for each stage as it starts and ends; on a terminal with a spinner in between."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._seconds: dict[str, float] = {}
        self._start = time.monotonic()

    @contextmanager
    def stage(self, title: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            if not self.console.is_terminal:
                self.console.print(f"… {title}", highlight=False)
            with self.console.status(title):
                yield
        except BaseException:
            self.console.print(f"[red]✗[/red] {title} [dim]{time.monotonic() - began:.1f} s[/dim]", highlight=False)
            raise
        self._seconds[title] = time.monotonic() - began
        self.console.print(f"[green]✓[/green] {title} [dim]{self._seconds[title]:.1f} s[/dim]", highlight=False)

    def print_times(self) -> None:
        table = Table("stage", "seconds", title="How long it took", title_justify="left")
        table.columns[1].justify = "right"
        for title, seconds in self._seconds.items():
            table.add_row(title, f"{seconds:.1f}")
        table.add_section()
        table.add_row("all", f"{time.monotonic() - self._start:.1f}")
        self.console.print(table)
