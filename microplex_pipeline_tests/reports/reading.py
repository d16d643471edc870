"""A parser of pages."""

from html.parser import HTMLParser

VOID = {"meta", "link", "img", "br", "hr", "input"}


class Page(HTMLParser):
    """Tags of a page, addresses that it loads or links to, and text of its tables and headings."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.open, self.addresses = [], [], []
        self.headings, self.captions, self.rows, self.labels = [], [], [], []
        self.feed(html)
        self.close()
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        self.addresses += [values[k] for k in ("src", "href", "xlink:href", "data") if k in values]
        if values.get("role") == "img":
            self.labels.append(values["aria-label"])
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th") and self.rows:
            self.rows[-1].append("")

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        self.handle_endtag(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, text):
        if "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += text.strip()
        elif self.open and self.open[-1] in ("h1", "h2"):
            self.headings.append(text)
        elif "caption" in self.open:
            self.captions.append(text)

    def row(self, first):
        """Return the cells of the row with this first cell."""
        return next(row for row in self.rows if row[0] == first)
