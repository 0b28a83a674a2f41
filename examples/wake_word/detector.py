"""A wake-word detector on a stream of audio: three models, and what has to be kept between chunks.

    python examples/wake_word/detector.py FOLDER [AUDIO.wav]

FOLDER holds the transpiled models (see README.md); AUDIO is 16 kHz, 16 bit, one channel, by default
a tone that rises through noise. Prints the time and the score of every chunk from the first on
that has two seconds of audio behind it.
"""

import importlib.util
import sys
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import mlx.core as mx
import numpy as np

RATE, CHUNK = 16000, 1280  # a microphone delivers 80 ms at a time
OVERLAP = 240  # samples of the chunk before: 8 frames of 25 ms, 10 ms apart, reach back that far
FRAMES, STEPS = 76, 16  # what the embedding and the classifier look at

Model = Callable[[np.ndarray], np.ndarray]


class Detector:
    """Chunks of samples in, scores out; None until there is enough audio for the first.

    The models take and give float32 arrays, wherever they run: `samples [1, S]` to
    `[1, 1, frames, mels]`, `[B, 76, mels, 1]` to `[B, 1, 1, 96]`, `[B, 16, 96]` to `[B, 1]`.
    """

    def __init__(self, melspectrogram: Model, embedding: Model, classifier: Model):
        self.melspectrogram, self.embedding, self.classifier = melspectrogram, embedding, classifier
        self.tail = np.zeros(OVERLAP, np.float32)
        self.frames = np.zeros((0, 32), np.float32)
        self.steps = np.zeros((0, 96), np.float32)

    def __call__(self, chunk: np.ndarray) -> float | None:
        """The score after a chunk of 1280 samples, 16 bit integers."""
        samples = np.concatenate([self.tail, chunk.astype(np.float32)])
        self.tail = samples[-OVERLAP:]
        new = self.melspectrogram(samples[None])[0, 0] / 10 + 2
        self.frames = np.concatenate([self.frames, new])[-FRAMES:]
        if len(self.frames) < FRAMES:
            return None
        step = self.embedding(self.frames[None, :, :, None]).reshape(1, -1)
        self.steps = np.concatenate([self.steps, step])[-STEPS:]
        if len(self.steps) < STEPS:
            return None
        return float(self.classifier(self.steps[None])[0, 0])


def transpiled(folder: Path) -> Model:
    """The model of an output folder. Each of them has a model.py of its own."""
    spec = importlib.util.spec_from_file_location(f"{folder.name}_model", folder / "model.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError(folder / "model.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    model = module.load()
    return lambda x: np.array(model(mx.array(x)))


def chunks(samples: np.ndarray) -> Iterator[np.ndarray]:
    """The stream as a microphone delivers it; what does not fill a chunk waits for more."""
    for start in range(0, len(samples) - CHUNK + 1, CHUNK):
        yield samples[start : start + CHUNK]


def rising_tone(seconds: float = 4.0) -> np.ndarray:
    """A tone from 200 Hz to 3 kHz that comes and goes, with a little noise."""
    time = np.arange(int(seconds * RATE)) / RATE
    tone = np.sin(2 * np.pi * (200 * time + 700 / seconds * time**2 * 2)) * np.sin(3 * time) ** 2
    noise = np.random.default_rng(0).standard_normal(len(time))
    return np.round(8000 * tone + 200 * noise).astype(np.int16)


def read_wav(path: str) -> np.ndarray:
    with wave.open(path) as file:
        if (file.getframerate(), file.getsampwidth(), file.getnchannels()) != (RATE, 2, 1):
            raise SystemExit(f"{path}: 16 kHz, 16 bit and one channel are needed")
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


def main() -> None:
    folder = Path(sys.argv[1])
    names = ("melspectrogram", "embedding", "classifier")
    detector = Detector(*(transpiled(folder / name) for name in names))
    samples = read_wav(sys.argv[2]) if len(sys.argv) > 2 else rising_tone()
    for number, chunk in enumerate(chunks(samples), 1):
        score = detector(chunk)
        if score is not None:
            print(f"{number * CHUNK / RATE:6.2f} s  {score:.3f}")


if __name__ == "__main__":
    main()
