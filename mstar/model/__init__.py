"""MSTAR itself, as section 3 of the paper has it: φ, PVE, ψ, MIM and the losses.

In reading order: `configuration`, `vision`, `multimodal`, `recycling`, `assignment`, `matching`,
`losses`, `outputs`, `modeling`. It knows tensors and hook points: no file, no image, no text.
"""
