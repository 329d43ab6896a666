"""What a loop imports: loaded once by the server from which the test's children are forked, not by each of them."""

import sandbox.command
import sandbox.exporting.export
import sandbox.looping.loop
import sociallm.train
import sociallm.workers
import tests.sandbox.test_loop

__all__ = ["sandbox", "sociallm", "tests"]
