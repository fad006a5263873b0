"""
The composition root: it builds everything, and decides nothing.

`base` holds what all parts stand on; `access`, `fleet`, `policy`, `events`, `alerts` and `embedding` build the
use-cases of one field each; `parts` puts them together, `servers` serves them, and `running` starts and stops it all.
"""

from bartizan.app.running import RunningConsole, open_console, run_console, serve_console

__all__ = ["RunningConsole", "open_console", "run_console", "serve_console"]
