"""The partitions of the data in Redis: everything about one number is in one of them, and so in one hash slot."""

PARTITIONS = "0123456789abcdef"  # each is the first hex digit of a verification id
