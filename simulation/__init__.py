"""The job pipeline in virtual time: the functions' own code on an AWS that loses, repeats, delays and refuses."""
