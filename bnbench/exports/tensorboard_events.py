"""Events for TensorBoard: a folder per run, scalars by step, settings as a text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bnbench.exports.values import missing, points, results, seconds, settings
from bnbench.store import SingleRun


def write_events(runs: Sequence[SingleRun], folder: Path) -> list[str]:
    """Write an events file for each run, in a folder called by its id."""
    try:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
        from tensorboard.compat.proto.tensor_pb2 import TensorProto
        from tensorboard.summary.writer.event_file_writer import EventFileWriter
    except ImportError as error:
        raise missing("tensorboard", error) from error

    def text(name: str, content: str) -> Any:
        metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text"))
        tensor = TensorProto(dtype="DT_STRING", string_val=[content.encode()])
        return Summary.Value(tag=name, tensor=tensor, metadata=metadata)

    for run in runs:
        time = seconds(run.row.get("finished_at", "")) or 0.0
        writer = EventFileWriter(str(folder / run.identity))
        lines = "\n".join(f"    {name}={cell}" for name, cell in settings(run).items())
        writer.add_event(Event(wall_time=time, step=0, summary=Summary(value=[text("settings", lines)])))
        last = int(float(run.row.get("steps_done") or 0))
        outcome = {f"result/{name}": number for name, number in results(run).items()}
        for step, numbers in (*points(run), (last, outcome)):
            values = [Summary.Value(tag=name, simple_value=number) for name, number in numbers.items()]
            writer.add_event(Event(wall_time=time, step=step, summary=Summary(value=values)))
        writer.close()
    return [f"look at it with: tensorboard --logdir {folder}"]
