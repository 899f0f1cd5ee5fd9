"""The conversion report: what became of every send, and of every verification.

`counters` reads what the scripts have counted, `figures` adds it up, `question` is what a report is asked for, `report`
answers it, `unconverted` lists the newest sends that did not convert, and `rolling_up` keeps the counters small.
"""
