"""What the collar does about its animal: it knows what its sensors say, and nothing else.

The way of a sample: ``sensing`` makes windows and seconds of it, ``models`` say what they are,
``log`` keeps and seals what is to be told, ``link`` tells it; ``power`` counts what all that takes.
"""
