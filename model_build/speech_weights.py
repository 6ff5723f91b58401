"""Takes the weights of the speech detector from the PyPI package silero-vad, as the serving code carries them.

    python -m model_build.speech_weights

The package's other files hold the same network in other formats, or an older one: silero_vad_16k.safetensors of 6.2.3 is not
silero_vad.jit. Arrays in NumPy's own format need no package that a serving image might lack.
"""

from importlib import metadata
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

_FOLDER: Final = Path(__file__).resolve().parents[1] / "inference" / "whisper_serving"
_CONVOLUTIONS: Final = 4
_RECURRENT: Final = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def read_package() -> tuple[dict[str, Any], str]:
    """(name in silero_vad.npz → float32 array, the licence's text) of the package that is installed."""
    files = {path.name: path.locate() for path in metadata.files("silero-vad") or ()}
    network: Any = torch.jit.load(str(files["silero_vad.jit"]), map_location="cpu")  # type: ignore[no-untyped-call]
    state = network.state_dict()
    names = {"spectrum": "stft.forward_basis_buffer"}
    for number in range(_CONVOLUTIONS):
        names |= {f"conv{number}.{part}": f"encoder.{number}.reparam_conv.{part}" for part in ("weight", "bias")}
    names |= {f"lstm.{part}": f"decoder.rnn.{part}" for part in _RECURRENT}
    names |= {f"output.{part}": f"decoder.decoder.2.{part}" for part in ("weight", "bias")}
    arrays = {name: state[f"_model.{upstream}"].numpy() for name, upstream in names.items()}
    # Convolutions over one sample are multiplications.
    arrays |= {"spectrum": arrays["spectrum"][:, 0], "output.weight": arrays["output.weight"][0, :, 0]}
    return arrays, Path(str(files["LICENSE"])).read_text()


def main() -> None:
    arrays, licence = read_package()
    np.savez(_FOLDER / "silero_vad.npz", **arrays)
    (_FOLDER / "silero_vad.LICENSE.txt").write_text(licence)


if __name__ == "__main__":
    main()
