"""`otp-service demo --traffic`: 30 days of traffic to look at, on the dashboard and in reports.

    plan      how many verifications end how, hour by hour: pure arithmetic, the same for the same seed
    counters  writes a planned hour as the counters that the scripts would have left
    visitors  the last part is no plan: people who sign in now, over real HTTP, against the simulator

Both parts end in the same counters, so the report of the last hour can be compared with the simulator's messages.
"""
