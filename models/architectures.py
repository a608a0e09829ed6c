"""The model architectures that trace.py knows, and example inputs for any transformers model.

make(name) gives a model and a function (batch, length) -> its inputs by name. Known names are made from the
configuration below with random weights, so nothing is downloaded; whatever else is given goes to transformers.
"""

import inspect
import os
import pathlib
from typing import Callable

import torch
from torch import Tensor, nn

Inputs = dict[str, Tensor]
MakeInputs = Callable[[int, int], Inputs]


class NotAvailable(Exception):
    pass


# Name: class, what is not the default of its configuration. The sizes are those of the published models.
TRANSFORMERS = {
    "google/bert_uncased_L-2_H-128_A-2": (
        "BertModel",
        dict(hidden_size=128, num_hidden_layers=2, num_attention_heads=2, intermediate_size=512),
    ),
    "bert-base-uncased": ("BertForMaskedLM", {}),
    "distilbert-base-uncased": ("DistilBertForMaskedLM", {}),
    "gpt2": ("GPT2LMHeadModel", {}),
    "microsoft/DialoGPT-small": ("GPT2LMHeadModel", {}),
    "google/flan-t5-small": (
        "T5ForConditionalGeneration",
        dict(
            d_model=512, d_kv=64, d_ff=1024, num_layers=8, num_decoder_layers=8, num_heads=6,
            feed_forward_proj="gated-gelu", tie_word_embeddings=False, decoder_start_token_id=0,
        ),
    ),  # fmt: skip
    "llama-2-layers": (
        "LlamaForCausalLM",
        dict(
            hidden_size=256, intermediate_size=688, num_hidden_layers=2, num_attention_heads=8,
            num_key_value_heads=4,
        ),
    ),  # fmt: skip
    "google/vit-base-patch16-224": ("ViTForImageClassification", {}),
    "microsoft/resnet-18": (
        "ResNetForImageClassification",
        dict(
            embedding_size=64, hidden_sizes=[64, 128, 256, 512], depths=[2, 2, 2, 2], layer_type="basic",
        ),
    ),  # fmt: skip
    "openai/whisper-tiny": (
        "WhisperForConditionalGeneration",
        dict(
            d_model=384, encoder_layers=4, decoder_layers=4, encoder_attention_heads=6,
            decoder_attention_heads=6, encoder_ffn_dim=1536, decoder_ffn_dim=1536,
        ),
    ),  # fmt: skip
}


class LstmTagger(nn.Module):
    """Embedding, two bidirectional LSTM layers, linear: a tagger of the time before transformers."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(10000, 128)
        self.lstm = nn.LSTM(128, 256, num_layers=2, batch_first=True, bidirectional=True)
        self.classifier = nn.Linear(512, 17)

    def forward(self, input_ids: Tensor) -> Tensor:
        hidden, _ = self.lstm(self.embedding(input_ids))
        return self.classifier(hidden)


class ConvBlock(nn.Module):
    """Two 3x3 convolutions with batch norm and a shortcut, as in ResNet."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
        )
        self.activation = nn.ReLU(inplace=True)

    def forward(self, pixels: Tensor) -> Tensor:
        hidden = self.activation(self.norm1(self.conv1(pixels)))
        hidden = self.norm2(self.conv2(hidden))
        hidden += self.shortcut(pixels)
        return self.activation(hidden)


class ConvNet(nn.Module):
    """A small ResNet that takes images of any size."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 32, 7, 2, 3), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
        self.blocks = nn.Sequential(ConvBlock(32, 64, 1), ConvBlock(64, 128, 2))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(128, 10)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.classifier(self.pool(self.blocks(self.stem(pixels))).flatten(1))


LOCAL: dict[str, tuple[type[nn.Module], MakeInputs]] = {
    "lstm": (LstmTagger, lambda batch, length: {"input_ids": torch.randint(10000, (batch, length))}),
    "convnet": (
        ConvNet,
        lambda batch, length: {"pixels": torch.randn(batch, 3, 48 + length, 32 + 2 * length)},
    ),
}


def known() -> list[tuple[str, str]]:
    """Name and class of each known architecture."""
    classes = {name: class_name for name, (class_name, _) in TRANSFORMERS.items()}
    return sorted((classes | {name: made.__name__ for name, (made, _) in LOCAL.items()}).items())


def has_random_weights(name: str) -> bool:
    return name in TRANSFORMERS or name in LOCAL


def make(name: str, attention: str | None) -> tuple[nn.Module, MakeInputs]:
    """The model and the function that makes its inputs. Raises NotAvailable, saying what is known."""
    if name in LOCAL:
        module, make_inputs = LOCAL[name]
        return module(), make_inputs
    import transformers  # takes seconds

    options = {"attn_implementation": attention} if attention else {}
    if name in TRANSFORMERS:
        class_name, settings = TRANSFORMERS[name]
        model_class = getattr(transformers, class_name)
        model = model_class._from_config(model_class.config_class(**settings), **options)
    else:
        model = load(name, options)
    for module in model.modules():  # encoder and decoder may have copies of the configuration
        if hasattr(getattr(module, "config", None), "use_cache"):
            module.config.use_cache = False  # a cache is an object of Python, nothing for TorchScript
    return model, lambda batch, length: example_inputs(model, batch, length)


def load(name: str, options: dict[str, str]) -> nn.Module:
    """A folder or a model of the hub: with its weights where it has any, otherwise with random ones."""
    import transformers

    folder = pathlib.Path(name)
    try:
        config = transformers.AutoConfig.from_pretrained(name)
        architecture = (config.architectures or [None])[0]
        model_class = getattr(transformers, architecture or "", None)
        if folder.is_dir() and not any(folder.glob("*.safetensors")) and not any(folder.glob("*.bin")):
            build = model_class._from_config if model_class else transformers.AutoModel.from_config
            return build(config, **options)
        return (model_class or transformers.AutoModel).from_pretrained(name, **options)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        names = ", ".join(name for name, _ in known())
        raise NotAvailable(
            f"'{name}' is no known architecture ({names}), "
            f"and transformers cannot load it{' from the folder' if folder.is_dir() else ''}: {reason}"
        ) from None


def example_inputs(model: nn.Module, batch: int, length: int) -> Inputs:
    """Inputs for any transformers model, from its configuration and the signature of its forward."""
    arguments = inspect.signature(model.forward).parameters
    config = model.config
    text = getattr(config, "text_config", config)
    vision = getattr(config, "vision_config", config)
    inputs: Inputs = {}

    def size(of, name: str, default: int) -> int:
        value = getattr(of, name, None) or default
        return value[0] if isinstance(value, (list, tuple)) else value

    def padding_mask() -> Tensor:
        mask = torch.ones(batch, length, dtype=torch.int64)
        mask[-1, length - length // 3 :] = 0  # the last row is padded
        return mask

    main = model.main_input_name
    if main == "input_ids" or "input_ids" in arguments:
        # Not the last ids: those are often special (padding, masks, images).
        inputs["input_ids"] = torch.randint(3, size(text, "vocab_size", 1000) // 2, (batch, length))
        if "attention_mask" in arguments:
            inputs["attention_mask"] = padding_mask()
    if "pixel_values" in arguments:
        side = size(vision, "image_size", 224)
        inputs["pixel_values"] = torch.randn(batch, size(vision, "num_channels", 3), side, side)
    if main == "input_features":
        frames = 2 * size(config, "max_source_positions", 1500)
        inputs["input_features"] = torch.randn(batch, size(config, "num_mel_bins", 80), frames)
    if main == "input_values":
        inputs["input_values"] = torch.randn(batch, 16000 + 400 * length)
    if config.is_encoder_decoder and "decoder_input_ids" in arguments:
        ids = torch.randint(3, size(text, "vocab_size", 1000) // 2, (batch, max(2, length // 2)))
        inputs["decoder_input_ids"] = ids
    if not inputs:
        raise NotAvailable(f"no example inputs are known for {type(model).__name__}: its input is '{main}'")
    return inputs


os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
