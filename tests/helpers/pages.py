"""The report's page, taken apart."""

import json
from html.parser import HTMLParser


class Tags(HTMLParser):
    """The tags of a page, and the text of its data."""

    def __init__(self, content):
        super().__init__()
        self.tags, self.data = [], ""
        self.feed(content.decode())

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.tags and self.tags[-1] == ("script", {"type": "application/json", "id": "data"}):
            self.data += data

    @property
    def payload(self):
        return json.loads(self.data)
