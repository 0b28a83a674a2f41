"""From source models (TorchScript, torch.export, ONNX) to the intermediate representation."""
