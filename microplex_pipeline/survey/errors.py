"""The error of a survey that cannot be used as it is."""


class SurveyError(ValueError):
    """A survey file or schema at fault, said with the column, state or year."""
