"""Images of any size, block by block, with exactly the labels of the whole image: docs/large-images.md."""
