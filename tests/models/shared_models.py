"""Small models with shared parameters: traced ones of transformers, and scripted ones of the same kinds.

make(folder) saves them as checkpoints and returns {name: path}.
"""

import pathlib

import torch
import transformers as hf
from torch import Tensor, nn

SIZES = dict(vocab_size=100, hidden_size=32, num_attention_heads=4, intermediate_size=64, max_position_embeddings=64)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.query, self.value = nn.Linear(16, 16), nn.Linear(16, 16)

    def forward(self, x: Tensor) -> Tensor:
        q = self.query(x)
        return torch.softmax(q @ q.transpose(-1, -2), -1) @ self.value(x)


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention, self.feed_forward = Attention(), nn.Linear(16, 16)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.feed_forward(self.attention(x))


class TiedHead(nn.Module):
    """GPT-2's kind: the embedding is the output layer, under another name."""

    def __init__(self):
        super().__init__()
        self.wte, self.layer, self.lm_head = nn.Embedding(50, 16), Layer(), nn.Linear(16, 50, bias=False)
        self.lm_head.weight = self.wte.weight

    def forward(self, ids: Tensor) -> Tensor:
        return self.lm_head(self.layer(self.wte(ids)))


class SharedLayers(nn.Module):
    """ALBERT's kind: one layer, called again and again."""

    def __init__(self):
        super().__init__()
        self.embedding, self.layer = nn.Embedding(50, 16), Layer()

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embedding(ids)
        for _ in range(3):
            x = self.layer(x)
        return x


class Stack(nn.Module):
    def __init__(self, embed_tokens: nn.Embedding):
        super().__init__()
        self.embed_tokens, self.layer = embed_tokens, Layer()

    def forward(self, ids: Tensor) -> Tensor:
        return self.layer(self.embed_tokens(ids))


class SharedEmbedding(nn.Module):
    """T5's kind: one embedding module in two places."""

    def __init__(self):
        super().__init__()
        self.shared = nn.Embedding(50, 16)
        self.encoder, self.decoder = Stack(self.shared), Stack(self.shared)

    def forward(self, ids: Tensor) -> Tensor:
        return self.encoder(ids) + self.decoder(ids.flip(1))


def make(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    ids = torch.randint(5, 50, (2, 7))
    mask = torch.ones_like(ids)
    traced = {
        "gpt2": (hf.GPT2LMHeadModel(hf.GPT2Config(vocab_size=100, n_embd=32, n_layer=2, n_head=4, n_positions=64, use_cache=False)), (ids,)),
        "albert": (hf.AlbertModel(hf.AlbertConfig(embedding_size=16, num_hidden_layers=4, **SIZES)), (ids, mask)),
        "bert": (hf.BertForMaskedLM(hf.BertConfig(num_hidden_layers=2, **SIZES)), (ids, mask)),
        "t5": (hf.T5ForConditionalGeneration(hf.T5Config(vocab_size=100, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, use_cache=False)), (ids, mask, ids)),
    }  # fmt: skip
    paths = {}
    with torch.no_grad():
        for name, (model, inputs) in traced.items():
            paths[name] = folder / f"{name}.pt"
            torch.jit.trace(model.eval(), inputs, strict=False).save(str(paths[name]))
        for model in (TiedHead(), SharedLayers(), SharedEmbedding()):
            name = type(model).__name__
            paths[name] = folder / f"{name}.pt"
            torch.jit.script(model.eval()).save(str(paths[name]))
    torch.save({"ids": ids}, folder / "ids.pt")
    return paths
