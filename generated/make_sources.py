"""Writes generated/sources/: the four reference models as traced TorchScript archives.

The archives are committed, so that what is generated from them does not depend on the machine. Run this only to
change the reference models themselves:

    python generated/make_sources.py
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

REFERENCES = {
    "llama": "llama_decoder",
    "bert": "bert_encoder",
    "resnet": "resnet",
    "bilstm": "bilstm_tagger",
}


def main() -> None:
    from models import MODELS

    (HERE / "sources").mkdir(exist_ok=True)
    for name, builder in REFERENCES.items():
        case = MODELS[builder]()
        with torch.no_grad():
            traced = torch.jit.trace(case.module, case.inputs, strict=False)
        traced.save(str(HERE / "sources" / f"{name}.pt"))


if __name__ == "__main__":
    main()
