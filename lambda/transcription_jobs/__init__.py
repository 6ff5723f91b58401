"""What the functions share: the job table, the objects that hold results, and the one way in which a job ends."""
