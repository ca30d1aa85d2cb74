"""A key for every few requests: those that are made up end the one they are sent with sooner or later."""

import os
import urllib.request

import schemathesis


@schemathesis.auth(refresh_interval=1)
class FreshKey:
    def get(self, case, context):
        with urllib.request.urlopen(os.environ["FRESH_KEY_URL"]) as answer:
            return answer.read().decode()

    def set(self, case, data, context):
        case.headers["Authorization"] = f"Bearer {data}"
