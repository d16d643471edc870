"""The error raised for a survey that cannot be used."""


class SurveyError(ValueError):
    """A survey file or schema is at fault; the message names the column, state or year."""
