"""The command line: one module a command, loaded only when that command runs.

A command's module has `add_arguments(parser)` and `run(arguments) -> exit code`; `zap2.cli.commands` lists them.
Commands raise errors of `zap2.errors`; `zap2.cli.main` turns them into one line and an exit code.
"""
