"""Small configurations of any transformers architecture, and inputs that such a model takes.

No architecture is known by name: widths are divided by one factor, so the ratios between them hold; depths, vocabularies,
experts and images get small values by the names of the attributes. candidates() yields attempts, the smallest
first, since some architectures fix a size in code: the caller takes the first that runs.
"""

import inspect
import re
from typing import Iterator

import torch

VOCABULARY = 512
WIDTH = re.compile(
    r"(hidden|embed|emb|inner|intermediate|ffn|model|head|key|value|state|lora|rank|latent|feature|project|out|expan|"
    r"conv|channel|expert|mlp|neck|decoder|encoder|proj|stem|kv|lru).*(size|dim|dims|width|channels|rank)s?$|"
    r"^(d_\w+|dim|width|hidden_sizes?|n_embd|n_inner|embed_dims?|channels|encoder_channels|conv_dim|bottleneck_features|"
    r"\w*_ffn_dim|fusion_hidden_size|mrope_section|hidden_channels|num_features|feature_size|encoder_in_channels)$"
)
NOT_WIDTH = re.compile(r"vocab|image|patch|kernel|window|in_channels$|^num_channels|stride|ratio|expansion|dilation|max_")
LAYERS = re.compile(
    r"^(num_\w*layers|n_layers?|\w*_layers|num_layers|num_blocks|\w*depth|num_hidden_\w+|decoder_n_layers|"
    r"num_hidden_groups|\w*layers_per_block)$"
)
NOT_LAYERS = re.compile(r"(kernel|skip|conv_|adapter|feat_extract|shared|dense|mlp_only|share)")
EXPERTS = re.compile(r"^(n_routed_experts|num_(local_|routed_)?experts|moe_num_experts|num_experts)$")


def shrunken(values: dict, factor: int, depth: int | None, image: int) -> dict:
    """The configuration's values, smaller. Nested configurations are shrunken by the same rules."""
    result, tokens = {}, 1
    for key, value in values.items():
        if isinstance(value, dict) and not key.endswith(("2label", "label2id")):
            value = shrunken(value, factor, depth, image)
        elif key == "vocab_size" and value is None:  # left to the tokenizer
            value = VOCABULARY
        elif isinstance(value, bool) or value is None:
            pass
        elif key.endswith("vocab_size") or key == "n_vocab":
            value = min(value, VOCABULARY) if isinstance(value, int) else value
        elif re.search(r"_(token_id|token_index|tok_index)$", key) and isinstance(value, int):
            if value >= VOCABULARY:
                value, tokens = VOCABULARY - tokens, tokens + 1  # each special token its own id
        elif EXPERTS.search(key) and isinstance(value, int):
            value = min(value, 4)
        elif re.search(r"experts?_per_tok|^(moe_)?top_?k$", key) and isinstance(value, int):
            value = min(value, 2)
        elif key in ("n_group", "topk_group"):
            value = 1
        elif key == "layer_types" and isinstance(value, list) and depth:
            kinds = list(dict.fromkeys(value))
            value = (kinds * depth)[: max(depth, 1)]
        elif LAYERS.search(key) and not NOT_LAYERS.search(key) and depth and isinstance(value, int):
            value = min(value, depth)
        elif key in ("depths", "num_layers") and depth and isinstance(value, list):
            value = [min(v, depth) if isinstance(v, int) else v for v in value]
        elif re.search(r"ind(ic|ex)e?s$|_idx$", key) and depth and isinstance(value, list):
            value = [min(v, depth - 1) if isinstance(v, int) else v for v in value]
        elif key in ("image_size", "img_size", "input_size") and image:
            value = image if isinstance(value, int) else [image] * len(value)
        elif key in ("max_source_positions",) and isinstance(value, int):
            value = min(value, 64)
        elif key in ("max_position_embeddings", "n_positions", "max_target_positions", "n_ctx"):
            value = min(value, 256) if isinstance(value, int) else value
        elif WIDTH.search(key) and not NOT_WIDTH.search(key):
            value = narrowed(value, factor)
        result[key] = value
    if "head_dim" in result and result["head_dim"] is None and result.get("num_attention_heads"):
        result["head_dim"] = result["hidden_size"] // result["num_attention_heads"]
    if isinstance(result.get("layer_types"), list) and isinstance(result.get("num_hidden_layers"), int):
        result["num_hidden_layers"] = len(result["layer_types"])
    return result


def narrowed(value, factor: int):
    if isinstance(value, (list, tuple)):
        return [narrowed(v, factor) for v in value]
    if isinstance(value, int) and value > 3 and value % factor == 0:
        return value // factor
    return value


def candidates(config_class) -> Iterator[object]:
    """Configurations from the smallest to that of full width."""
    default = config_class()
    values = default.to_dict()
    for key in ("model_type", "transformers_version", "architectures", "dtype", "torch_dtype", "_name_or_path"):
        values.pop(key, None)
    for factor, depth, image in ((8, 2, 64), (4, 2, 64), (8, 4, 64), (8, 2, 224), (8, None, 0), (2, 2, 0), (1, 2, 0)):
        try:
            yield config_class(**shrunken(values, factor, depth, image))
        except Exception:  # of any kind: the class checks what it likes, the next attempt is nearer its default
            continue


def find(config, name: str, default, depth: int = 0):
    """The attribute of the configuration or of one nested in it."""
    value = getattr(config, name, None)
    if value is not None:
        return value[0] if isinstance(value, (list, tuple)) else value
    if depth < 3:
        for nested in list(vars(config).values()):
            if hasattr(nested, "to_dict") and (found := find(nested, name, None, depth + 1)) is not None:
                return found
    return default


def input_candidates(model, batch: int, length: int, image: int = 0) -> Iterator[dict]:
    """Inputs the forward may take, the fullest first. `image` is added to the side of images."""
    names = inspect.signature(model.forward).parameters
    config = model.config
    required = {
        n for n, p in names.items() if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    }
    vocabulary = min(find(config, "vocab_size", 200), 400)
    base: dict[str, torch.Tensor] = {}
    if "input_ids" in names:
        base["input_ids"] = torch.randint(3, max(4, vocabulary // 2), (batch, length))
        if "attention_mask" in names:
            mask = torch.ones(batch, length, dtype=torch.int64)
            mask[-1, length - length // 3 :] = 0
            base["attention_mask"] = mask
    if "bbox" in names:
        corner = torch.randint(0, 100, (batch, length, 2))
        base["bbox"] = torch.cat([corner, corner + 20], -1)
    if "decoder_input_ids" in names:
        base["decoder_input_ids"] = torch.randint(3, max(4, vocabulary // 2), (batch, max(2, length // 2)))
    for name in sorted(required - set(base)):
        if name.endswith("_input_ids"):
            base[name] = torch.randint(3, max(4, vocabulary // 2), (batch, length))
        elif name.endswith("attention_mask"):
            base[name] = torch.ones(batch, length, dtype=torch.int64)
    if "input_values" in names:
        base["input_values"] = torch.randn(batch, 8000 + 400 * length)
    for name in ("visual_embeds", "inputs_embeds"):
        if name in required:
            base[name] = torch.randn(batch, length, find(config, "hidden_size", 64))
    side = find(config, "image_size", None) or find(config, "img_size", 64)
    side = (side if isinstance(side, int) else 64) + image
    channels = find(config, "num_channels", 3)
    channels = channels if isinstance(channels, int) else 3
    frames = find(config, "num_frames", 2)
    pictures = [
        (batch, channels, side, side), (batch, frames, channels, side, side), (batch, 1, channels, side, side),
    ]  # fmt: skip
    mels = [find(config, n, None) for n in ("num_mel_bins", "input_feat_per_channel", "feature_projection_input_dim",
                                            "num_features", "input_size", "n_mels")]  # fmt: skip
    mels = next((m for m in mels if isinstance(m, int)), 80)
    steps = 2 * find(config, "max_source_positions", 64)
    sounds = [(batch, mels, steps), (batch, 40 + 4 * length, mels), (batch, steps, mels)]
    hidden = find(config, "hidden_size", 64)
    optional: list[list[dict]] = []
    if "pixel_values" in names:
        optional.append([{"pixel_values": torch.randn(shape)} for shape in pictures])
    if "pixel_values_videos" in required:
        optional.append([{"pixel_values_videos": torch.randn(pictures[1])}])
    if "input_features" in names:
        optional.append([{"input_features": torch.randn(shape)} for shape in sounds])
    if "hidden_states" in required:
        shapes = [(batch, length, hidden), (batch, hidden, length)]
        optional.append([{"hidden_states": torch.randn(shape)} for shape in shapes])
    if "spectrogram" in required:
        optional.append([{"spectrogram": torch.randn(batch, length, find(config, "model_in_dim", 80))}])
    for choices in optional:
        for choice in choices:
            yield base | choice
    without_decoder = {n: t for n, t in base.items() if n != "decoder_input_ids"}
    if base:
        yield base
        if len(without_decoder) < len(base) and without_decoder:
            yield without_decoder
    if "input_values" in base:
        yield {"input_values": torch.randn(batch, 1, 8000 + 400 * length)}
        yield {"input_values": torch.randn(batch, mels, 1024)}
        yield {"input_values": torch.randn(batch, 1024, mels)}
    if "past_values" in names:
        past = torch.randn(batch, find(config, "context_length", 32), find(config, "num_input_channels", 1))
        yield {"past_values": past}
