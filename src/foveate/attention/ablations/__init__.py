"""The designs that table 4 of the DAS paper holds against its gate, one file each.

They are named after their rows, ``das_a`` to ``das_h``; (c) is ``das`` itself. The paper gives a
phrase to each. What completes it is ours, is an option where it could be otherwise, and is told in
``departs``; what one costs a network agrees with every remark on costs that the paper makes.
"""
