"""One helper a file: what MLX lacks of torch's operators, in code that stands alone.

A file holds its imports, then one public function or class named as the file. The
emitter copies the text below the imports into `model.py`, after the helpers imported
from beside it. Images and sequences of features are channels last (`[N, *spatial,
C]`); all other arrays have torch's layout.
"""
