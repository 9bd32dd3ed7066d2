"""Ctrl-C and Ctrl-\\ work in the tests, also where their process was started in the background, which ignores them."""

import signal

for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGQUIT, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, handler)
