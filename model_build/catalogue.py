"""The sizes of Whisper that OpenAI published, and what each needs: parameters, bytes and GPU memory, from its dimensions.

Which instance: openai-whisper keeps its weights on the GPU in float32 and casts them to float16 layer by layer, so they take
four bytes each whatever type the artefact stores. Beside them lie the casts, the attention caches of up to five candidates
decoded at once and the CUDA context: OpenAI's README gives 1.6 to 1.9 times the weights for turbo, medium and large. An
instance is recommended where the weights take at most a third of its GPU memory, which leaves as much again as that; it is the
least that serves one worker well, and an environment may choose a faster one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Final

from model_build.errors import BuildError
from model_build.release import archive_path, find_release
from whisperstack_contract.artefact import ReleaseManifest
from whisperstack_contract.weight_shapes import DIMENSIONS, expected_shapes

_ARTEFACT_BYTES_PER_NUMBER: Final = 2  # float16, as OpenAI published the weights
_GPU_BYTES_PER_NUMBER: Final = 4  # float32
_LARGEST_SHARE_OF_GPU: Final = 1 / 3

# In the state dict, but no parameter: the encoder's positions are a sine table. Source: openai-whisper model.py, AudioEncoder.
_BUFFER: Final = "encoder.positional_embedding"

_ENGLISH: Final = 51_864
_LANGUAGES_99: Final = 51_865
_LANGUAGES_100: Final = 51_866  # and Cantonese

# The rest of a multilingual vocabulary. Source: openai-whisper model.py, is_multilingual and num_languages.
_TOKENS_BESIDE_LANGUAGES: Final = 51_766

# Instance type → bytes of GPU memory, smallest first. Source: EC2 instance type pages (G4dn: NVIDIA T4, G5: NVIDIA A10G).
GPU_INSTANCES: Final = {"ml.g4dn.xlarge": 16 * 1024**3, "ml.g5.xlarge": 24 * 1024**3}


@dataclass(frozen=True)
class WhisperSize:
    """dims: as openai-whisper's ModelDimensions. aliases: other names that openai-whisper has for the same weights."""

    name: str
    dims: dict[str, int]
    aliases: tuple[str, ...] = ()

    @property
    def parameters(self) -> int:
        return number_of_parameters(self.dims)

    @property
    def state_bytes(self) -> int:
        """The state dict in float16. The archive holds these weights, and what it carries besides."""
        return self._numbers * _ARTEFACT_BYTES_PER_NUMBER

    @property
    def gpu_weight_bytes(self) -> int:
        return self._numbers * _GPU_BYTES_PER_NUMBER

    @property
    def n_languages(self) -> int:
        """1 for an English-only model."""
        n_vocab = self.dims["n_vocab"]
        return n_vocab - _TOKENS_BESIDE_LANGUAGES if n_vocab > _ENGLISH else 1

    @property
    def instance_type(self) -> str:
        """The smallest instance of which the weights leave two thirds of the GPU free."""
        fitting = (
            name for name, size_bytes in GPU_INSTANCES.items() if self.gpu_weight_bytes <= size_bytes * _LARGEST_SHARE_OF_GPU
        )
        return next(fitting)

    @property
    def _numbers(self) -> int:
        return sum(prod(shape) for shape in expected_shapes(self.dims).values())


def _dims(n_mels: int, width: int, heads: int, encoder_layers: int, decoder_layers: int, n_vocab: int) -> dict[str, int]:
    # 30 s of audio in frames of 20 ms, and 448 tokens of text: the same for every size.
    values = (n_mels, 1500, width, heads, encoder_layers, n_vocab, 448, width, heads, decoder_layers)
    return dict(zip(DIMENSIONS, values, strict=True))


# Source: Radford et al. 2022, table 1, and the `dims` in OpenAI's checkpoints; large-v3 and turbo: the openai-whisper release
# notes of 2023-11-06 (128 mel bins, Cantonese) and 2024-09-30 (four decoder layers).
SIZES: Final = (
    WhisperSize("tiny.en", _dims(80, 384, 6, 4, 4, _ENGLISH)),
    WhisperSize("tiny", _dims(80, 384, 6, 4, 4, _LANGUAGES_99)),
    WhisperSize("base.en", _dims(80, 512, 8, 6, 6, _ENGLISH)),
    WhisperSize("base", _dims(80, 512, 8, 6, 6, _LANGUAGES_99)),
    WhisperSize("small.en", _dims(80, 768, 12, 12, 12, _ENGLISH)),
    WhisperSize("small", _dims(80, 768, 12, 12, 12, _LANGUAGES_99)),
    WhisperSize("medium.en", _dims(80, 1024, 16, 24, 24, _ENGLISH)),
    WhisperSize("medium", _dims(80, 1024, 16, 24, 24, _LANGUAGES_99)),
    WhisperSize("large-v1", _dims(80, 1280, 20, 32, 32, _LANGUAGES_99)),
    WhisperSize("large-v2", _dims(80, 1280, 20, 32, 32, _LANGUAGES_99)),
    WhisperSize("large-v3", _dims(128, 1280, 20, 32, 32, _LANGUAGES_100), aliases=("large",)),
    WhisperSize("large-v3-turbo", _dims(128, 1280, 20, 32, 4, _LANGUAGES_100), aliases=("turbo",)),
)


def number_of_parameters(dims: dict[str, int]) -> int:
    return sum(prod(shape) for name, shape in expected_shapes(dims).items() if name != _BUFFER)


def require_size(model: str, dims: dict[str, int]) -> None:
    """Raises BuildError where weights are given the name of an official size that they do not have. Other names are free."""
    for size in SIZES:
        if model in (size.name, *size.aliases) and size.dims != dims:
            differing = ", ".join(
                f"{name} {dims.get(name)} instead of {size.dims[name]}"
                for name in DIMENSIONS
                if dims.get(name) != size.dims[name]
            )
            raise BuildError(f"these weights are not {model}: {differing}; give --model their own size, or a name of your own")


def table(output_root: Path) -> list[str]:
    """A heading and one line for each size. Weights are those of any artefact; the bytes of a built one stand beside it."""
    rows = [("model", "parameters", "weights", "languages", "instance", "built for")]
    rows += [
        (
            " = ".join((size.name, *size.aliases)),
            f"{size.parameters / 1e6:.1f} M",
            f"{size.state_bytes / 1e6:,.0f} MB",
            "English only" if size.n_languages == 1 else str(size.n_languages),
            size.instance_type,
            ", ".join(_built_for(size, output_root)) or "-",
        )
        for size in SIZES
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _built_for(size: WhisperSize, output_root: Path) -> Iterator[str]:
    """The engines that have an artefact of this size, with its bytes."""
    engines = sorted(output_root.iterdir()) if output_root.is_dir() else []
    for engine in engines:
        for name in (size.name, *size.aliases):
            if (release := _built_release(engine / name)) is not None:
                yield f"{engine.name} ({release.archive_bytes / 1e6:,.0f} MB)"
                break


def _built_release(folder: Path) -> ReleaseManifest | None:
    release = find_release(folder)
    return None if release is None or release.example or not archive_path(folder).is_file() else release
