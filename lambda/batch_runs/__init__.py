"""What the functions of a batch share: which batch it is, who works on it, and the files in which they leave notes to each other."""
