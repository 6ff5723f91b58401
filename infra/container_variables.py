"""What the container of one inference option is told."""

from infra.images import ServingImage
from infra.served_model import WHISPERX_ENGINE, HubModel, ServedModel
from infra.serving_variables import ServingLimits, require_floors, serving_variables
from whisperstack_contract import variables
from whisperstack_contract.inference_options import InferenceOption


def release_variables(
    settings: ServedModel, limits: ServingLimits, image: ServingImage, option: InferenceOption
) -> dict[str, str]:
    """Of a container that serves a built release with this project's handler. Raises ConfigurationError."""
    if settings.engine == WHISPERX_ENGINE:
        # AWS's server for it takes none of the two stacks' variables.
        return {**settings.container_variables}
    own_limit = limits.payload_bytes != option.payload_bytes
    return _checked(
        limits,
        {
            **serving_variables(image.serving_stack, limits, settings.instance),
            **({variables.MAX_AUDIO_BYTES: str(limits.payload_bytes)} if own_limit else {}),
            variables.MAX_AUDIO_SECONDS: str(settings.max_audio_seconds),
            variables.INFERENCE_OPTION: option,
            variables.HARDWARE: str(settings.hardware),
            **settings.container_variables,
        },
    )


def hub_variables(settings: ServedModel, hub: HubModel, limits: ServingLimits, image: ServingImage) -> dict[str, str]:
    """Of a container that downloads its model and serves it with the stock handler of the Hugging Face image.

    Source of the names: sagemaker-huggingface-inference-toolkit 2.6.0. Raises ConfigurationError.
    """
    told = serving_variables(image.serving_stack, limits, settings.instance)
    # Without a program of ours the toolkit serves its own handler.
    stock = {name: value for name, value in told.items() if name not in ("SAGEMAKER_PROGRAM", "SAGEMAKER_SUBMIT_DIRECTORY")}
    model = {"HF_MODEL_ID": hub.model_id, "HF_MODEL_REVISION": hub.revision, "HF_TASK": hub.task}
    return _checked(limits, {**stock, **model, **settings.container_variables})


def _checked(limits: ServingLimits, told: dict[str, str]) -> dict[str, str]:
    require_floors(told, limits)
    return told
