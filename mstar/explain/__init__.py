"""What one recorded run says, and where in an image the evidence for a text is.

`looks` and `assignment` read a `Trace`, `contributions` takes a query apart, `attribution` follows
or disturbs the score. It knows one image at a time: no gallery, no evaluation, no drawing.
"""
