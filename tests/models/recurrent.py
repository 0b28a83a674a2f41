"""Recurrent networks."""

from torch import Tensor, nn

from .case import Case, floats, seeded, tokens


class BiLSTMTagger(nn.Module):
    def __init__(self, vocab_size: int = 50, embed_dim: int = 12, hidden_dim: int = 10):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embed_dim)
        self.lstm = nn.LSTM(
            embed_dim, hidden_dim, num_layers=2, batch_first=True, bidirectional=True
        )
        self.dropout = nn.Dropout(0.2)
        self.hidden2tag = nn.Linear(2 * hidden_dim, 7)

    def forward(self, sentence: Tensor) -> Tensor:
        embeds = self.embedding(sentence)
        lstm_out, _ = self.lstm(embeds)
        return self.hidden2tag(self.dropout(lstm_out))


class GRUNet(nn.Module):
    """Time first, an initial state from the caller, the last state among the outputs."""

    def __init__(self, input_dim: int = 6, hidden_dim: int = 9):
        super().__init__()
        self.gru = nn.GRU(input_dim, hidden_dim, num_layers=2)
        self.head = nn.Linear(hidden_dim, 4)

    def forward(self, x: Tensor, h0: Tensor) -> tuple[Tensor, Tensor]:
        out, hn = self.gru(x, h0)
        return self.head(out[-1]), hn


def bilstm_tagger() -> Case:
    ids = tokens(2, 7, vocabulary=50)
    return Case(seeded(BiLSTMTagger()), (ids,), ({0: "B", 1: "L"},))


def gru_net() -> Case:
    inputs = (floats(7, 2, 6), floats(2, 2, 9, seed=1))
    return Case(seeded(GRUNet()), inputs, ({0: "L", 1: "B"}, {1: "B"}))
