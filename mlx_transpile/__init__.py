"""Turns TorchScript, torch.export and ONNX models into readable MLX source."""
