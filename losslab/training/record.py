"""A training that nobody steers, written down to its end."""

from collections.abc import Callable, Generator
from contextlib import closing, nullcontext, suppress

from .loop import Diverged
from .run import RunError, RunWriter, Snapshot
from .threads import few_threads


def record(training: Generator[Snapshot, None, None], writer: RunWriter, tell: Callable[[Snapshot], None]) -> None:
    """Write every snapshot of `train(recipe)`, telling of each; then say how the run ended. What ended it early is
    raised: KeyboardInterrupt, Diverged, RunError."""
    state, reason = "failed", "The program ended unexpectedly."
    try:
        writer.state("running")
        with few_threads(), closing(training):
            for snapshot in training:
                writer.append(snapshot)
                tell(snapshot)
        state, reason = "done", ""
    except KeyboardInterrupt:
        state, reason = "stopped", "Stopped at the keyboard."
        raise
    except (Diverged, RunError) as error:
        reason = str(error)
        raise
    finally:
        with nullcontext() if state == "done" else suppress(RunError):  # A full disk has been spoken of.
            writer.state(state, reason)
