"""The base of every error that the user can put right: the CLI and `jobs/` print its message, without a trace."""


class LemaError(Exception):
    """Says what is wrong, where (file, line, key, row id), and what to do."""


def explain_os_error(error: OSError) -> str | None:
    """What to do about a machine that is at its limit; None when the error is something else."""
    import errno

    if error.errno == errno.ENOSPC:
        where = f" ({error.filename})" if error.filename else ""
        return f"the disk is full{where}. What is finished is kept: free some space and run the same command again."
    return None
