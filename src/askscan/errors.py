"""The three errors a caller can mend; the command line turns each into one sentence and exit code 2.

Anything else that escapes is a bug of ours (exit code 1, with a traceback).
"""


class UserError(ValueError):
    """Base of the errors that the user can mend. The message is one sentence: what, expected, got, what to do."""


class DataError(UserError):
    """A file or folder the user gave is missing, malformed or contradicts another; the message names it."""


class WeightsError(UserError):
    """A checkpoint does not fit the model; the message names the missing or misshapen tensors."""


class ConfigError(UserError):
    """An option, a recipe or a run folder cannot be used as asked; the message says what would be accepted."""
