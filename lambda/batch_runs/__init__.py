"""What the functions of a batch share: which batch it is, who works on it, and their notes to each other."""
