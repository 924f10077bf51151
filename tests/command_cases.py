"""The command line in this process, as tests call it."""

from losslab import cli


def losslab(*words, capsys):
    """Exit code, standard output and standard error of `python -m losslab ...`."""
    try:
        code = cli.main([str(word) for word in words])
    except SystemExit as end:
        code = end.code
    said = capsys.readouterr()
    return code, said.out, said.err
