"""`otp-service demo`: the whole loop on one port, without an account, a container or a network.

    stage   opens the parts in order and closes them backwards: Valkey, the simulator, the API with its worker
    walk    the loop once, in the terminal, over real HTTP
    login   the back end of a sample site: the only part that holds the API key
    own_pages  what the sample site answers to: its own pages, under its own names
    window  what Redis and “Twilio” hold at this moment, as a stream for the page beside the sample site
    pages   the sample site; `login.js` is the example of a front end

Nothing here is reached by `serve`.
"""

from service.demo.stage import run_demo

__all__ = ["run_demo"]
