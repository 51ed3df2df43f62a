"""Start Python programs as forks of a process that has imported what they need; for kill.py.

A fork starts in a hundredth of the time, so that a signal at a random moment hits what a program does and not its
imports. It is otherwise a program like any: handlers of signals are as at the start, and it ends by itself.
"""

import json
import os
import runpy
import select
import signal
import subprocess
import sys
import tempfile

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Nursery:
    """The process that programs are forked from.

    Parameters
    ----------
    env : dict of str to str
        Environment of all programs.
    """

    def __init__(self, env):
        self._process = subprocess.Popen(
            [sys.executable, os.path.abspath(__file__)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env
        )

    def start(self, argv):
        """Start ``python -c CODE WORDS`` or ``python -m MODULE WORDS``, of which `argv` is all; return a `Fork`."""
        return Fork(self, argv[1:])

    def ask(self, request):
        """Send a request."""
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()

    def answer(self, timeout=None):
        """Return the next number that comes.

        Raises
        ------
        subprocess.TimeoutExpired
        """
        # Unbuffered, so that what select sees is what there is.
        if not select.select([self._process.stdout], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired("fork", timeout)
        line = b""
        while not line.endswith(b"\n"):
            line += os.read(self._process.stdout.fileno(), 1)
        return int(line)


class Fork:
    """A running program, with what of `subprocess.Popen` is needed."""

    def __init__(self, nursery, words):
        self._nursery, self.returncode = nursery, None
        with tempfile.NamedTemporaryFile() as said:
            self._said = open(said.name, "rb")
            nursery.ask([words, said.name])
            self.pid = nursery.answer()

    def communicate(self, timeout=None):
        """Wait for the end; return None and what it said on the standard error."""
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(self._nursery.answer(timeout))
        self._said.seek(0)
        return None, self._said.read()

    def send_signal(self, number):
        """Send a signal, unless the end is known."""
        try:
            self.communicate(0)
        except subprocess.TimeoutExpired:
            os.kill(self.pid, number)


def serve():
    """Fork a program for every line of the standard input; in the fork, return its words."""
    import neural_style.cli.main  # noqa: F401
    import neural_style.cli.observers  # noqa: F401
    import neural_style.jobs.running  # noqa: F401
    import neural_style.training.loop  # noqa: F401
    import neural_style.transfer.stylize  # noqa: F401
    import neural_style.weights.downloads  # noqa: F401
    from neural_style._mxnet import mx

    assert mx.__version__
    for line in iter(sys.stdin.buffer.readline, b""):
        words, said = json.loads(line)
        with open(said, "wb") as file:
            child = os.fork()
            if child == 0:
                os.dup2(file.fileno(), 2)
                nowhere = os.open(os.devnull, os.O_RDWR)
                os.dup2(nowhere, 0)
                os.dup2(nowhere, 1)
                return words
        os.write(1, f"{child}\n".encode())
        os.write(1, f"{os.waitpid(child, 0)[1]}\n".encode())
    return None


def main():
    for number in SIGNALS[1:]:
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    words = serve()
    if words is None:
        return
    kind, what, *rest = words
    sys.argv = [kind, *rest]
    if kind == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})


if __name__ == "__main__":
    main()
