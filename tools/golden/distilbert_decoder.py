"""
DistilBERT as a decoder, written with plain torch modules: transformers has no such class. DistilBertForMaskedLM's names and
maths, a causal mask, and post-norm cross-attention between self-attention and MLP. It keeps no cache.
"""

import torch
from torch import nn
from transformers import AutoModelForCausalLM, DistilBertConfig, PreTrainedModel
from transformers.activations import ACT2FN
from transformers.generation import GenerationMixin
from transformers.modeling_outputs import CausalLMOutputWithCrossAttentions

EPS = 1e-12


class Attention(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.heads = config.n_heads
        for name in ("q_lin", "k_lin", "v_lin", "out_lin"):
            setattr(self, name, nn.Linear(config.dim, config.dim))

    def split(self, x):
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(self, x, states, hidden):
        q, k, v = self.split(self.q_lin(x)), self.split(self.k_lin(states)), self.split(self.v_lin(states))
        scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
        if hidden is not None:
            scores = scores.masked_fill(hidden, torch.finfo(scores.dtype).min)
        weights = scores.softmax(-1)
        return self.out_lin((weights @ v).transpose(1, 2).flatten(-2)), weights


class Layer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.attention, self.crossattention = Attention(config), Attention(config)
        self.sa_layer_norm, self.ca_layer_norm = nn.LayerNorm(config.dim, EPS), nn.LayerNorm(config.dim, EPS)
        self.ffn = nn.ModuleDict(
            {"lin1": nn.Linear(config.dim, config.hidden_dim), "lin2": nn.Linear(config.hidden_dim, config.dim)}
        )
        self.output_layer_norm = nn.LayerNorm(config.dim, EPS)
        self.activation = ACT2FN[config.activation]

    def forward(self, x, states, hidden):
        x = self.sa_layer_norm(x + self.attention(x, x, hidden)[0])
        out, weights = self.crossattention(x, states, None)
        x = self.ca_layer_norm(x + out)
        return self.output_layer_norm(x + self.ffn["lin2"](self.activation(self.ffn["lin1"](x)))), weights


class Embeddings(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.word_embeddings = nn.Embedding(config.vocab_size, config.dim, config.pad_token_id)
        self.position_embeddings = nn.Embedding(config.max_position_embeddings, config.dim)
        self.LayerNorm = nn.LayerNorm(config.dim, EPS)

    def forward(self, ids):
        positions = torch.arange(ids.shape[1])
        return self.LayerNorm(self.word_embeddings(ids) + self.position_embeddings(positions))


class Body(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.embeddings = Embeddings(config)
        self.transformer = nn.ModuleDict({"layer": nn.ModuleList(Layer(config) for _ in range(config.n_layers))})


class DistilBertDecoder(PreTrainedModel, GenerationMixin):
    config_class = DistilBertConfig
    base_model_prefix = "distilbert"
    _supports_sdpa = True
    _tied_weights_keys = {"vocab_projector.weight": "distilbert.embeddings.word_embeddings.weight"}

    def __init__(self, config):
        super().__init__(config)
        self.distilbert = Body(config)
        self.vocab_transform = nn.Linear(config.dim, config.dim)
        self.vocab_layer_norm = nn.LayerNorm(config.dim, EPS)
        self.vocab_projector = nn.Linear(config.dim, config.vocab_size)
        self.activation = ACT2FN[config.activation]
        self.post_init()

    def get_input_embeddings(self):
        return self.distilbert.embeddings.word_embeddings

    def get_output_embeddings(self):
        return self.vocab_projector

    def forward(self, input_ids=None, attention_mask=None, encoder_hidden_states=None, **unused):
        x = self.distilbert.embeddings(input_ids)
        length = input_ids.shape[1]
        hidden = torch.ones(length, length, dtype=torch.bool).triu(1)[None, None]
        if attention_mask is not None:
            hidden = hidden | (attention_mask[:, None, None, :] == 0)
        states, crossed = [x], []
        for layer in self.distilbert.transformer["layer"]:
            x, weights = layer(x, encoder_hidden_states, hidden)
            states.append(x)
            crossed.append(weights)
        logits = self.vocab_projector(self.vocab_layer_norm(self.activation(self.vocab_transform(x))))
        return CausalLMOutputWithCrossAttentions(
            logits=logits, hidden_states=tuple(states), cross_attentions=tuple(crossed)
        )


# register() ignores the library's own config classes
AutoModelForCausalLM._model_mapping._extra_content[DistilBertConfig] = DistilBertDecoder
