"""What comes from disk and goes into the model: images, texts as tensors, checkpoints.

`bench` puts a model and its processor together; everything above works with one. It knows nothing
of what is explained, searched, evaluated or trained.
"""
