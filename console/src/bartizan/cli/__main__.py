"""`python -m bartizan.cli` is `bartizan`."""

from bartizan.cli.main import main

main()
