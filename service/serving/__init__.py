"""Serving: the HTTP server of one process, and the parent that keeps several of them.

`server` runs the service in this process, and ends it without a failed request. `supervisor` starts processes that
share a listening socket, replaces one that is lost, and all of them on SIGHUP; `child` is what such a process runs
(`child_server` its server), and `child_handle` what its parent knows of it. With one worker there is no
parent, until SIGHUP: then this process starts the one that takes its place, and becomes its parent.

    SIGTERM, SIGINT   OTP_DRAIN_SECONDS long /readyz is 503, and each response is its connection's last; then the
                      listening sockets close, requests under way are answered, and the process ends with 0
    the same again    ends at once; so does the first one before anything is served, with 0
    SIGHUP            reads settings and secrets anew: a new process serves before an old one stops accepting
"""
