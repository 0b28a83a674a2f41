"""Turns PyTorch and ONNX models into MLX source that people can read."""
