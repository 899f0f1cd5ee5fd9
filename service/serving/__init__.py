"""Serving: the HTTP server of one process, and the parent that keeps several of them.

`server` runs the service in one process and stops it without a failed request. `supervisor` keeps several processes on
shared listening sockets: it replaces a process that dies, and all of them on SIGHUP. `child` is the program of such a
process, `child_server` its server, and `child_handle` the parent's view of it. With one worker (`alone`) there is no
parent until SIGHUP: then the process starts its replacement and becomes its parent.

    SIGTERM, SIGINT   drain: for OTP_DRAIN_SECONDS /readyz answers 503 and each response is the last of its connection;
                      then close the listening sockets, answer open requests, and exit with 0
    second signal     exit at once; a signal before the server is ready does the same, with 0
    SIGHUP            read the settings and secrets again: a new process serves before an old one stops accepting
"""
