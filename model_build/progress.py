"""How a long stage tells how far it is: a protocol for those who work, a bar for the terminal."""

from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, DownloadColumn, Task, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress
from rich.text import Text


class Progress(Protocol):
    """Receives stages, one after the other. total_bytes: None where the amount of work is unknown."""

    def stage(self, description: str, total_bytes: int | None = None) -> None: ...

    def advance(self, n_bytes: int) -> None: ...


class _Bytes(DownloadColumn):
    """Of work of unknown size only what is done, if it is counted at all."""

    def render(self, task: Task) -> Text:
        if task.total is None:
            return Text(decimal(int(task.completed)) if task.completed else "", style="progress.download")
        return super().render(task)


class TerminalProgress:
    """A bar on stderr that disappears when the work is done; where stderr is no terminal, a line for each stage."""

    def __init__(self) -> None:
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._plain = None if console.is_terminal else console
        self._bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            _Bytes(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.stop()

    def stage(self, description: str, total_bytes: int | None = None) -> None:
        if self._plain is not None:
            self._plain.print(f"{description} …", markup=False)
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task(description, total=total_bytes)

    def advance(self, n_bytes: int) -> None:
        if self._task is not None:
            self._bar.advance(self._task, n_bytes)
