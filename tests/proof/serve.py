"""The command `roster` as tests start it: `python -m tests.proof.serve`; its answers are recorded.

The workers of a server import this module too.
"""

from roster.cli.main import main
from tests.proof.recording import record_if_asked

record_if_asked()

if __name__ == "__main__":
    main()
