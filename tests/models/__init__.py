"""Small real models with fixed seeds, in plain torch: `MODELS[name]()` gives a `Case`."""

from collections.abc import Callable

from .attention import cross_attention, mha_encoder, mha_encoder_fused, shared_layer
from .audio import conv_audio
from .bert import bert_encoder
from .case import Case, seeded
from .hostile import hostile_names, hostile_names_export, method_names
from .llama import llama_decoder, llama_decoder_tied
from .mutation import (
    add_through_transpose,
    buffer_write,
    copy_into_slice,
    index_put,
    inplace_chain,
    masked_fill,
    set_column,
    write_halves,
    write_in_callee,
)
from .recurrent import bilstm_tagger, gru_net
from .resnet import resnet
from .scripted import scripted_branch, scripted_loop, scripted_static
from .seq2seq import seq2seq
from .structure import (
    baked_batch,
    borrowed_children,
    dict_output,
    interleaved,
    list_loop,
    nested_input,
)

Builder = Callable[[], Case]


def _by_name(*builders: Builder) -> dict[str, Builder]:
    return {builder.__name__: builder for builder in builders}


# Everything that can be transpiled from a TorchScript archive.
MODELS: dict[str, Builder] = _by_name(
    llama_decoder,
    llama_decoder_tied,
    bert_encoder,
    resnet,
    bilstm_tagger,
    gru_net,
    mha_encoder,
    mha_encoder_fused,
    cross_attention,
    conv_audio,
    shared_layer,
    seq2seq,
    borrowed_children,
    interleaved,
    list_loop,
    dict_output,
    nested_input,
    set_column,
    copy_into_slice,
    add_through_transpose,
    index_put,
    masked_fill,
    inplace_chain,
    write_halves,
    write_in_callee,
    scripted_static,
    scripted_branch,
    scripted_loop,
    hostile_names,
    method_names,
    baked_batch,
)

# What a TorchScript archive cannot hold, but torch.export can.
EXPORT_ONLY: dict[str, Builder] = _by_name(hostile_names_export)

# What torch.export does not take.
SCRIPTED = {"scripted_static", "scripted_branch", "scripted_loop"}

# What is refused, with a reason: state.
REFUSED: dict[str, Builder] = _by_name(buffer_write)

__all__ = ["EXPORT_ONLY", "MODELS", "REFUSED", "SCRIPTED", "Builder", "Case", "seeded"]
