"""What scenes are drawn with: `fonts`, `things`, the pixels (`render`) and the places (`layout`).

`brief` says what an image is drawn from. None of it knows how images are numbered or asked for.
"""
