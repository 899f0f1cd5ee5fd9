"""`otp-service demo`: the whole loop on one port, without an account, a container or a network.

    stage      opens all parts in order and closes them in reverse: Valkey, the simulator, the API with its worker
    walk       runs the loop once, in the terminal, over real HTTP
    terminal   prints a line for each event while the demo serves
    login      the back end of a sample site: the only part that has the API key
    service_client  calls the service for it, and has an answer whatever happens
    own_pages  lets the sample site answer only its own pages, under its own host names
    window     streams the contents of Redis and of the simulator to a page
    pages      the sample site; `login.js` is an example of a front end

`serve` uses none of this.
"""

from service.demo.stage import opening, run_demo

__all__ = ["opening", "run_demo"]
