"""A sign-on that did not work, as an application tells the person."""


class SignOnFailed(Exception):
    """A sign-on or refresh did not work; all that is known, for the page."""

    def __init__(self, text: str, *, code: str = "", trace_id: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.code = code
        self.trace_id = trace_id
