"""Image and label files, folders of them, and the crops that training sees."""
