"""Files for other programs: ONNX, programs of torch.export, model packages of bioimage.io."""
