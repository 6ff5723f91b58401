"""Pictures of a benchmark's results."""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")
from matplotlib import pyplot


def draw(report: dict[str, Any], folder: Path) -> None:
    """Speed against errors, and time against the length of the audio, as SVG."""
    figure, axes = pyplot.subplots(1, 2, figsize=(12, 5))
    audio = report["audio_seconds"]
    for name, found in report["engines"].items():
        if rates := found["word_error_rate"]:
            place = sum(found["seconds"].values()) / sum(audio.values()), sum(rates.values()) / len(rates)
            axes[0].scatter(*place)
            axes[0].annotate(name, place, textcoords="offset points", xytext=(4, 4), fontsize=8)
        points = sorted((audio[recording], seconds) for recording, seconds in found["seconds"].items())
        style = {"marker": "o"} if rates else {"linestyle": "--", "color": "black"}
        axes[1].loglog([point[0] for point in points], [point[1] for point in points], label=name, **style)
    axes[0].set(xscale="log", xlabel="real-time factor", ylabel="word error rate, %", title=report["model"])
    axes[1].set(xlabel="audio, s", ylabel="processing, s")
    axes[1].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(folder / f"speed-{report['model']}.svg", metadata={"Date": None})
    pyplot.close(figure)
