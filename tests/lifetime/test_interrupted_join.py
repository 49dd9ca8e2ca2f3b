"""A KeyboardInterrupt that comes out of a wait leaves what was waited for as it is: it is waited for again."""

from __future__ import annotations

from tests.support.processes import run_host

HOST = """
    import os, signal, threading
    from sandlock._threads import Thread
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def interrupt():
        on.wait()
        os.kill(os.getpid(), signal.SIGINT)

    on, go_on = threading.Event(), threading.Event()
    waited_for = Thread(target=go_on.wait, name="waited for")
    waited_for.start()
    threading.Thread(target=interrupt).start()
    try:
        on.set()
        waited_for.join()
    except KeyboardInterrupt:
        print("interrupted")
    print(waited_for.is_alive())
    waited_for.join(0.01)
    print(waited_for.is_alive())
    go_on.set()
    waited_for.join()
    print(waited_for.is_alive())
"""


def test_a_thread() -> None:
    done = run_host(HOST)
    assert done.stdout.split() == ["interrupted", "True", "True", "False"], done.stderr


FORKED = """
    import os
    from sandlock import ForkError, StdioMode
    from tests.support.sandboxes import tool_sandbox

    process = tool_sandbox().popen(["cat"], StdioMode.PIPED)
    child = os.fork()
    if child == 0:
        try:
            process.wait()
        except ForkError:
            os._exit(0)
        os._exit(1)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    process.communicate()
"""


def test_the_wait_of_a_forked_process_is_refused() -> None:
    done = run_host(FORKED)
    assert done.stdout == "0\n", done.stderr
