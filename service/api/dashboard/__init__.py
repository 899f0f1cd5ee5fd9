"""The dashboard: the operator's page at `/dashboard`, its sessions and its data.

    browsers   what a browser says of a request: over which scheme, by which page, with which cookie
    sessions   signing in and out, and who may call the routes of the page
    actions    what an operator can change: retry a failed confirmation, release a number
    state      the outbox and the health of the service, as the page shows them
    page       the page and its files

The reports are those of the API, at other paths: the page has no figures of its own. The shipped proxies do not let
any of this out.
"""
