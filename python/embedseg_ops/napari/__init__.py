"""The napari plugin: a session without a window (`session`, `outputs`, `corrections`), and the window (`panel`)."""
